{{/* The settings file. */}}
{{- define "postcall.settings" -}}
{{- $settings := deepCopy .Values.settings -}}
{{- $admin := $settings.admin | default dict -}}
{{- $_ := set $settings "admin" $admin -}}
{{- if not (hasKey $admin "token") -}}
{{- $_ := set $admin "token" (dict "file" "/run/secrets/postcall/admin-token") -}}
{{- end -}}
{{- toYaml $settings -}}
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
  "store.ca_file"
  "store.replica"
  "store.write_queue"
  "delivery.lease"
  "shutdown.deadline"
  "logs.format"
-}}
{{- $path := splitList "." $key -}}
{{- $_ := set $values $key (dig (first $path) (last $path) "" $settings) -}}
{{- end -}}
{{- $values | toJson | sha256sum -}}
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
