{{/* What all pods of the chart have in common. */}}
{{- define "postcall.podSpec" -}}
automountServiceAccountToken: false
# Or a Service named postcall would put POSTCALL_PORT=tcp://… into the environment.
enableServiceLinks: false
{{- with .Values.serviceAccountName }}
serviceAccountName: {{ . | quote }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  {{- range $key, $id := .Values.podSecurityContext }}
  {{- if not (kindIs "invalid" $id) }}
  {{ $key }}: {{ int64 $id }}
  {{- end }}
  {{- end }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/* What all containers of the chart have in common; ports and probes apart. */}}
{{- define "postcall.container" -}}
image: {{ include "postcall.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
resources:
  {{- toYaml .Values.resources | nindent 2 }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "postcall.env" -}}
# For commands that are run in the pod.
- name: POSTCALL_CONFIG
  value: /etc/postcall/postcall.yaml
{{- range .Values.extraEnv }}
{{- if regexMatch "^POSTCALL__(SHUTDOWN__|(PUBLIC|ADMIN)__LISTEN$)" .name -}}
{{- fail (printf "extraEnv: %s: the pod's ports and grace period follow from settings: set it there" .name) -}}
{{- end -}}
{{- end -}}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Both are folders: a subPath mount never changes in a running pod. */}}
{{- define "postcall.volumeMounts" -}}
- name: settings
  mountPath: /etc/postcall
  readOnly: true
- name: secrets
  mountPath: /run/secrets/postcall
  readOnly: true
{{- if include "postcall.databaseSecrets" . }}
- name: database
  mountPath: /run/secrets/database
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Takes a dictionary: top, the root context; configMap and secret, their names. */}}
{{- define "postcall.volumes" -}}
- name: settings
  configMap:
    name: {{ .configMap | quote }}
- name: secrets
  secret:
    secretName: {{ .secret | quote }}
    defaultMode: 0440
{{- with include "postcall.databaseSecrets" .top }}
- name: database
  projected:
    defaultMode: 0440
    sources:
      {{- . | nindent 6 }}
{{- end }}
{{- with .top.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The password of the database and its certificate authority, if they are in Secrets of their own. */}}
{{- define "postcall.databaseSecrets" -}}
{{- if eq .Values.mode "postgres" -}}
{{- range $file, $secret := dict "password" .Values.postgres.passwordSecret "ca.crt" .Values.postgres.caSecret -}}
{{- if $secret.name }}
- secret:
    name: {{ $secret.name | quote }}
    items:
      - key: {{ $secret.key | quote }}
        path: {{ $file }}
{{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* Away from each other, as far as there are nodes and zones; a pod that finds none runs all the same. */}}
{{- define "postcall.spread" -}}
{{- if kindIs "slice" .Values.postgres.topologySpreadConstraints -}}
{{- toYaml .Values.postgres.topologySpreadConstraints -}}
{{- else -}}
{{- range $i, $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" -}}
{{- if $i }}
{{ end -}}
- topologyKey: {{ $key }}
  maxSkew: 1
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "postcall.serverLabels" $ | nindent 6 }}
  # The pods of one revision, or a rollout would be spread around the old ones.
  matchLabelKeys: [{{ ternary "controller-revision-hash" "pod-template-hash" $.Values.postgres.spool.enabled }}]
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The volume that each pod has for itself, mounted at /data; empty if it has none. */}}
{{- define "postcall.volume" -}}
{{- if eq .Values.mode "sqlite" -}}
store
{{- else if .Values.postgres.spool.enabled -}}
spool
{{- end -}}
{{- end -}}

{{/* The pods that serve, of a StatefulSet or a Deployment. */}}
{{- define "postcall.serverPod" -}}
metadata:
  labels:
    {{- include "postcall.serverLabels" . | nindent 4 }}
    {{- with include "postcall.ownLabels" (dict "labels" .Values.podLabels "field" "podLabels") }}
    {{- . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/restart: {{ include "postcall.restartChecksum" . }}
    {{- $scraped := dict -}}
    {{- if not (or .Values.serviceMonitor.enabled .Values.podMonitor.enabled) -}}
    {{- $port := include "postcall.port" (dict "top" . "listener" "admin") -}}
    {{- $scraped = dict "prometheus.io/scrape" "true" "prometheus.io/port" $port "prometheus.io/path" "/metrics" -}}
    {{- end -}}
    {{- with merge (dict) (.Values.podAnnotations | default dict) $scraped }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "postcall.podSpec" . | nindent 2 }}
  {{- if eq .Values.mode "postgres" }}
  topologySpreadConstraints:
    {{- include "postcall.spread" . | nindent 4 }}
  {{- end }}
  # Longer than shutdown.drain_delay and shutdown.deadline together.
  {{- with .Values.settings.shutdown }}
  terminationGracePeriodSeconds: {{ add (include "postcall.seconds" (.drain_delay | default "5s")) (include "postcall.seconds" (.deadline | default "20s")) 20 }}
  {{- end }}
  containers:
    - name: postcall
      {{- include "postcall.container" . | nindent 6 }}
      env:
        {{- include "postcall.env" . | nindent 8 }}
      ports:
        - name: webhooks
          containerPort: {{ include "postcall.port" (dict "top" . "listener" "public") }}
        - name: admin
          containerPort: {{ include "postcall.port" (dict "top" . "listener" "admin") }}
      startupProbe:
        httpGet:
          path: /livez
          port: admin
        periodSeconds: 2
        # The first start of another release brings the store to its form before it answers:
        # some seconds for each million of submissions, more on a slow disk.
        failureThreshold: 300
      livenessProbe:
        httpGet:
          path: /livez
          port: admin
        periodSeconds: 10
        timeoutSeconds: 2
      readinessProbe:
        httpGet:
          path: /readyz
          port: admin
        periodSeconds: 2
        timeoutSeconds: 2
      volumeMounts:
        {{- with include "postcall.volume" . }}
        - name: {{ . }}
          mountPath: /data
        {{- end }}
        {{- include "postcall.volumeMounts" . | nindent 8 }}
  volumes:
    {{- include "postcall.volumes" (dict "top" . "configMap" (include "postcall.fullname" .) "secret" (include "postcall.secretName" .)) | nindent 4 }}
{{- end -}}
