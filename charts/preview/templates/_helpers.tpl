{{/* Labels of every object. */}}
{{- define "preview.labels" -}}
app.kubernetes.io/managed-by: greenroom
greenroom.dev/installation: {{ .Values.preview.installation | quote }}
greenroom.dev/repository: {{ .Values.preview.repository | quote }}
greenroom.dev/repository-id: {{ .Values.preview.repositoryId | quote }}
greenroom.dev/number: {{ .Values.preview.number | int64 | quote }}
{{- end }}

{{/* A name of at most 63 characters; what is longer ends in a hash of the whole. */}}
{{- define "preview.name" -}}
{{- if le (len .) 63 }}{{ . }}{{ else }}{{ printf "%s-%s" (trunc 54 . | trimSuffix "-") (sha256sum . | trunc 8) }}{{ end }}
{{- end }}

{{/* The namespace is the Application's destination: what renders elsewhere is refused by the project. */}}
{{- define "preview.podSecurity" -}}
runAsNonRoot: true
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "preview.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities: { drop: [ALL] }
{{- end }}

{{/* Scheduling of all pods: dict "settings" .Values.settings "data" true for pods that hold a preview's only data. */}}
{{- define "preview.scheduling" -}}
{{- $s := .settings.scheduling }}
{{- $spot := dict "eks" (list "eks.amazonaws.com/capacityType" "SPOT") "karpenter" (list "karpenter.sh/capacity-type" "spot") "gke" (list "cloud.google.com/gke-spot" "true") "aks" (list "kubernetes.azure.com/scalesetpriority" "spot") }}
{{- $label := get $spot $s.preset }}
{{- with $s.priorityClass }}
priorityClassName: {{ . }}
{{- end }}
{{- with $s.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- $tolerations := $s.tolerations }}
{{- if and $label (ne $s.spot "never") }}
{{- $match := dict "key" (index $label 0) "operator" "In" "values" (list (index $label 1)) }}
affinity:
  nodeAffinity:
    {{- if eq $s.spot "required" }}
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms: [{ matchExpressions: [{{ toJson $match }}] }]
    {{- else }}
    preferredDuringSchedulingIgnoredDuringExecution:
      - { weight: 100, preference: { matchExpressions: [{{ toJson $match }}] } }
    {{- end }}
{{- if has $s.preset (list "gke" "aks") }}
{{- $tolerations = append $tolerations (dict "key" (index $label 0) "operator" "Equal" "value" (index $label 1) "effect" "NoSchedule") }}
{{- end }}
{{- end }}
{{- with $tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- end }}

{{/* Resources: dict "own" of the service "defaults" of the platform. */}}
{{- define "preview.resources" -}}
requests: { cpu: {{ .own.cpu | default .defaults.cpu | quote }}, memory: {{ .own.memory | default .defaults.memory | quote }} }
limits: { memory: {{ .own.memoryLimit | default .defaults.memoryLimit | quote }} }
{{- end }}

{{/* The environment of one process: dict "root" "name" of the service "service" "process". */}}
{{- define "preview.env" -}}
{{- $root := .root }}
- { name: GREENROOM_PREVIEW, value: {{ printf "%s#%d" $root.Values.preview.repository (int64 $root.Values.preview.number) | toJson }} }
- { name: VERSION, value: {{ .service.sha | trunc 7 | toJson }} }
{{- with .process.port }}
- { name: PORT, value: {{ . | int | toString | toJson }} }
{{- end }}
{{- range $key, $value := .service.env }}
- { name: {{ $key }}, value: {{ toJson $value }} }
{{- end }}
{{- range $target, $link := .service.links }}
{{- $byHand := dig $target "url" "" $root.Values.links }}
- { name: {{ $link.variable }}, value: {{ $byHand | default $link.url | toJson }} }
{{- end }}
{{- range $need, $spec := .service.needs }}
- name: {{ $spec.variable }}
  valueFrom: { secretKeyRef: { name: {{ include "preview.name" (printf "%s-%s" $.name $need) }}, key: url } }
{{- end }}
{{- end }}

{{/* The pod of one process, used by Deployments and CronJobs: dict "root" "name" "service" "processName" "process". */}}
{{- define "preview.pod" -}}
{{- $settings := .root.Values.settings }}
{{- $name := .name }}
{{- $service := .service }}
{{- $resources := include "preview.resources" (dict "own" .service.resources "defaults" $settings.defaults) }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "preview.podSecurity" . | nindent 2 }}
{{- include "preview.scheduling" (dict "settings" $settings) }}
initContainers:
  {{- range $need, $spec := .service.needs }}
  - name: {{ printf "wait-%s" $need }}
    {{- include (printf "need.%s.wait" $spec.kind) (dict "host" (include "preview.name" (printf "%s-%s" $name $need)) "spec" $spec) | nindent 4 }}
    securityContext:
      {{- include "preview.containerSecurity" $ | nindent 6 }}
    resources: { requests: { cpu: 10m, memory: 32Mi }, limits: { memory: 64Mi } }
  {{- end }}
  {{- if and .process.migrates .service.migrate.command }}
  - name: migrate
    image: {{ .service.image | quote }}
    command: {{ toJson .service.migrate.command }}
    env:
      {{- include "preview.env" . | nindent 6 }}
    {{- with .service.envFrom }}
    envFrom: [{{ range $i, $n := . }}{{ if $i }}, {{ end }}{ secretRef: { name: {{ $n }} } }{{ end }}]
    {{- end }}
    securityContext:
      {{- include "preview.containerSecurity" . | nindent 6 }}
    resources:
      {{- $resources | nindent 6 }}
  {{- end }}
containers:
  - name: {{ .processName }}
    image: {{ .service.image | quote }}
    {{- with .process.command }}
    command: {{ toJson . }}
    {{- end }}
    env:
      {{- include "preview.env" . | nindent 6 }}
    {{- with .service.envFrom }}
    envFrom: [{{ range $i, $n := . }}{{ if $i }}, {{ end }}{ secretRef: { name: {{ $n }} } }{{ end }}]
    {{- end }}
    {{- if .process.port }}
    ports: [{ name: {{ .processName | trunc 15 | trimSuffix "-" }}, containerPort: {{ .process.port }} }]
    {{- if eq .process.kind "web" }}
    readinessProbe:
      httpGet: { path: {{ .process.probe | quote }}, port: {{ .process.port }} }
      periodSeconds: 1
      timeoutSeconds: 5
      failureThreshold: 3
    {{- end }}
    {{- end }}
    securityContext:
      {{- include "preview.containerSecurity" . | nindent 6 }}
    resources:
      {{- $resources | nindent 6 }}
{{- end }}
