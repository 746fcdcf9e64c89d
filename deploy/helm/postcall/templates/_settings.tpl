{{/* The settings file. */}}
{{- define "postcall.settings" -}}
{{- include "postcall.checkMode" . -}}
{{- $settings := deepCopy .Values.settings -}}
{{- $admin := $settings.admin | default dict -}}
{{- $_ := set $settings "admin" $admin -}}
{{- if not (hasKey $admin "token") -}}
{{- $_ := set $admin "token" (dict "file" "/run/secrets/postcall/admin-token") -}}
{{- end -}}
{{- if eq .Values.mode "postgres" -}}
{{- $store := $settings.store -}}
{{- if not (hasKey $store "password") -}}
{{- $file := ternary "database/password" "postcall/database-password" (ne .Values.postgres.passwordSecret.name "") -}}
{{- $_ := set $store "password" (dict "file" (printf "/run/secrets/%s" $file)) -}}
{{- end -}}
{{- if and .Values.postgres.caSecret.name (not (hasKey $store "ca_file")) -}}
{{- $_ := set $store "ca_file" "/run/secrets/database/ca.crt" -}}
{{- end -}}
{{- if .Values.postgres.spool.enabled -}}
{{- $_ := set $store "spool" (mergeOverwrite (dict "path" "/data/spool.db") ($store.spool | default dict)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end -}}

{{/* Fails if the store is not that of the mode. The address is not repeated: a password may be in it. */}}
{{- define "postcall.checkMode" -}}
{{- $store := .Values.settings.store | default dict -}}
{{- $isPostgres := regexMatch "^postgres(ql)?:" (get $store "url" | toString) -}}
{{- if and $isPostgres (ne .Values.mode "postgres") -}}
{{- fail "settings.store.url is an address of PostgreSQL, and mode is sqlite, whose one pod has a volume: set mode to postgres" -}}
{{- else if and (eq .Values.mode "postgres") (not $isPostgres) -}}
{{- fail "mode is postgres, and settings.store.url is no address of PostgreSQL: write it as postgres://USER@HOST:PORT/DATABASE, or set mode to sqlite" -}}
{{- else if and (eq .Values.mode "postgres") (hasKey $store "replica") -}}
{{- fail "settings.store.replica: each pod is named after itself, and two of one name would deliver twice: leave it out" -}}
{{- else if and ($store.spool | default dict).path (not .Values.postgres.spool.enabled) -}}
{{- fail "settings.store.spool.path: no pod has a volume for it: set postgres.spool.enabled" -}}
{{- else if and (eq .Values.mode "sqlite") .Values.postgres.spool.enabled -}}
{{- fail "postgres.spool.enabled: a SQLite store has no spool: set mode to postgres" -}}
{{- end -}}
{{- end -}}

{{/* The ports of the hosts in settings.store.url and migrate_url, as JSON. */}}
{{- define "postcall.databasePorts" -}}
{{- $ports := list -}}
{{- range $url := compact (list .Values.settings.store.url .Values.settings.store.migrate_url) -}}
{{- $hosts := regexReplaceAll "^postgres(ql)?://([^/?]*@)?([^/?]*).*$" $url "${3}" -}}
{{- range splitList "," $hosts -}}
{{- $ports = append $ports (regexFind ":[0-9]+$" . | trimPrefix ":" | default "5432" | int) -}}
{{- end -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{/*
A hash of the keys that a running service cannot change (src/app/reload.rs; scripts/check-chart
compares the lists). The pod is replaced if one of them changes, and for no other setting.
*/}}
{{- define "postcall.restartChecksum" -}}
{{- $settings := include "postcall.settings" . | fromYaml -}}
{{- $values := dict -}}
{{- range $key := list
  "public.listen"
  "public.connections"
  "public.body_timeout"
  "admin.listen"
  "store.url"
  "store.migrate_url"
  "store.ca_file"
  "store.replica"
  "store.spool"
  "store.write_queue"
  "delivery.lease"
  "shutdown.deadline"
  "logs.format"
  "store.password"
  "tracing.otlp"
-}}
{{- $path := splitList "." $key -}}
{{- $_ := set $values $key (get (get $settings (first $path) | default dict) (last $path)) -}}
{{- end -}}
{{- $values | toJson | sha256sum -}}
{{- end -}}

{{/* The port of the collector of spans; nothing if there is none. */}}
{{- define "postcall.collectorPort" -}}
{{- with get (.Values.settings.tracing | default dict) "otlp" | default dict -}}
{{- with urlParse (get . "endpoint" | toString) -}}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" .host) | default (ternary "443" "80" (eq .scheme "https")) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The port of a listener. */}}
{{- define "postcall.port" -}}
{{- $listen := get (get .top.Values.settings .listener | default dict) "listen" -}}
{{- if regexMatch "^(127\\.|localhost:|\\[::1\\])" ($listen | toString) -}}
{{- fail (printf "settings.%s.listen: %s is reached from inside the pod alone: use 0.0.0.0" .listener $listen) -}}
{{- end -}}
{{- regexFind "[0-9]+$" ($listen | toString) | required (printf "settings.%s.listen: no port: write it as 0.0.0.0:8080" .listener) -}}
{{- end -}}

{{/* A duration of the settings in whole seconds, rounded up. */}}
{{- define "postcall.seconds" -}}
{{- $number := regexFind "^[0-9]+" . | int -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- if eq $unit "ms" -}}
{{- div (add $number 999) 1000 -}}
{{- else -}}
{{- mul $number (get (dict "s" 1 "m" 60 "h" 3600 "d" 86400) $unit) -}}
{{- end -}}
{{- end -}}
