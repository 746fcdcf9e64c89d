{{/*
The name of all objects. A StatefulSet takes 52 characters, its pods' labels no more. A Service may
not begin with a digit.
*/}}
{{- define "postcall.fullname" -}}
{{- $name := include "postcall.anyname" . -}}
{{- if not (regexMatch "^[a-z]" $name) -}}
{{- fail (printf "the name %s begins with a digit, which no Service may: set fullnameOverride" $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- define "postcall.anyname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change, by which pods are selected together with a component. */}}
{{- define "postcall.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Labels of the pods that serve. */}}
{{- define "postcall.serverLabels" -}}
{{ include "postcall.selectorLabels" . }}
app.kubernetes.io/component: server
{{- end -}}

{{/*
Labels of the operator. Takes a dictionary: labels; field, where they are given. One of the chart's own
would be there twice, and the pods would not be selected by it.
*/}}
{{- define "postcall.ownLabels" -}}
{{- range $label, $_ := .labels -}}
{{- if or (eq $label "helm.sh/chart") (regexMatch "^app\\.kubernetes\\.io/(name|instance|component|version|managed-by)$" $label) -}}
{{- fail (printf "%s: the label %s is the chart's own: leave it out" $.field $label) -}}
{{- end -}}
{{- end -}}
{{- with .labels -}}
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{- define "postcall.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "postcall.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/*
Metadata of an object. Takes a dictionary: top, the root context; name, what is appended to the
name; component, labels, annotations if it has any.
*/}}
{{- define "postcall.metadata" -}}
{{- $labels := merge (dict) (.labels | default dict) (.top.Values.commonLabels | default dict) -}}
{{- $_ := include "postcall.ownLabels" (dict "labels" .top.Values.commonLabels "field" "commonLabels") -}}
{{- $annotations := merge (dict) (.annotations | default dict) (.top.Values.commonAnnotations | default dict) -}}
name: {{ include "postcall.fullname" .top }}{{ .name }}
namespace: {{ .top.Release.Namespace | quote }}
labels:
  {{- include "postcall.labels" .top | nindent 2 }}
  {{- with .component }}
  app.kubernetes.io/component: {{ . }}
  {{- end }}
  {{- with include "postcall.ownLabels" (dict "labels" $labels "field" "labels") }}
  {{- . | nindent 2 }}
  {{- end }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The Secret that is mounted. */}}
{{- define "postcall.secretName" -}}
{{- if and .Values.existingSecret .Values.secrets -}}
{{- fail "existingSecret and secrets are both set: keep one of them" -}}
{{- else if not (or .Values.existingSecret .Values.secrets) -}}
{{- fail "no Secret: set existingSecret to the name of a Secret with the key admin-token and those that the settings refer to" -}}
{{- end -}}
{{- .Values.existingSecret | default (include "postcall.fullname" .) -}}
{{- end -}}

{{- define "postcall.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
The hosts that senders call, as JSON: those given, or that of settings.public.url. Takes a
dictionary: top, the root context; kind, ingress or httpRoute; field, where hosts are given.
*/}}
{{- define "postcall.hosts" -}}
{{- $url := get (.top.Values.settings.public | default dict) "url" | default "" | urlParse -}}
{{- if $url.path | trimPrefix "/" -}}
{{- fail (printf "%s: settings.public.url has the path %s, and only /hooks/ is exposed: leave the path out, or disable %s and let a proxy remove it" .kind $url.path .kind) -}}
{{- end -}}
{{- $given := get (get .top.Values .kind) .field -}}
{{- if not (or $given $url.hostname) -}}
{{- fail (printf "%s.%s: no host: set it, or settings.public.url" .kind .field) -}}
{{- end -}}
{{- $given | default (list $url.hostname) | toJson -}}
{{- end -}}
