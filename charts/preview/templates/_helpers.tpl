{{/* The name, namespace and labels of one object: dict "root" "name" "labels" (additional labels, optional). */}}
{{- define "preview.metadata" -}}
name: {{ .name | quote }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "preview.labels" .root | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "preview.labels" -}}
app.kubernetes.io/managed-by: greenroom
greenroom.dev/installation: {{ .Values.preview.installation | quote }}
greenroom.dev/repository: {{ .Values.preview.repository | quote }}
greenroom.dev/repository-id: {{ .Values.preview.repositoryId | quote }}
greenroom.dev/number: {{ .Values.preview.number | int64 | quote }}
{{- end }}

{{/*
SERVICE-PART, the name of the objects of a process or a need: dict "root" "service" "part" "kind". At most 52 characters,
because CronJobs and StatefulSets add eleven. A name that is longer or not unique (`a-b` and `c`, `a` and `b-c`) ends in a
hash.
*/}}
{{- define "preview.name" -}}
{{- $plain := printf "%s-%s" .service .part }}
{{- $makers := 0 }}
{{- range $service, $spec := .root.Values.services }}
  {{- range concat (keys $spec.processes) (keys ($spec.needs | default dict)) (list "") }}
    {{- if eq $plain (printf "%s-%s" $service . | trimSuffix "-") }}{{ $makers = add1 $makers }}{{ end }}
  {{- end }}
{{- end }}
{{- if and (le $makers 1) (le (len $plain) 52) }}{{ $plain }}
{{- else }}{{ printf "%s-%s" (trunc 43 $plain | trimSuffix "-") (sha256sum (printf "%s/%s/%s" .kind .service .part) | trunc 8) }}
{{- end }}
{{- end }}

{{/* The process that a service's address points to; empty if there is none. Argument: the service. */}}
{{- define "preview.web" -}}
{{- $listening := list }}
{{- range $name, $process := .processes }}
  {{- if and (eq $process.kind "web") $process.port }}{{ $listening = append $listening $name }}{{ end }}
{{- end }}
{{- $wanted := .web | default "web" }}
{{- if has $wanted $listening }}{{ $wanted }}{{ else }}{{ first $listening }}{{ end }}
{{- end }}

{{/* The seconds for which a process keeps serving before SIGTERM, 0 if it receives no requests: dict "root" "process". */}}
{{- define "preview.drain" -}}
{{- if and (eq .process.kind "web") .process.port }}{{ int64 .root.Values.settings.ingress.drainSeconds }}{{ else }}0{{ end }}
{{- end }}

{{/* The Kubernetes Service of a process that listens: dict "root" "name" (of the service) "service" "processName". */}}
{{- define "preview.address" -}}
{{- if eq .processName (include "preview.web" .service) }}{{ .name }}
{{- else }}{{ include "preview.name" (dict "root" .root "service" .name "part" .processName "kind" "process") }}
{{- end }}
{{- end }}

{{/* A list of strings, each quoted and otherwise unchanged. */}}
{{- define "preview.list" -}}
[{{ range $i, $text := . }}{{ if $i }}, {{ end }}{{ quote $text }}{{ end }}]
{{- end }}

{{/* Pod security "restricted": dict "user" (if missing, the user of the image). */}}
{{- define "preview.podSecurity" -}}
runAsNonRoot: true
{{- with .user }}
runAsUser: {{ int64 . }}
{{- end }}
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "preview.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities: { drop: [ALL] }
{{- end }}

{{/* Scheduling and image pull secrets of pods. Argument: settings. */}}
{{- define "preview.scheduling" -}}
{{- $scheduling := .scheduling }}
{{- $spot := dict
  "eks" (list "eks.amazonaws.com/capacityType" "SPOT")
  "karpenter" (list "karpenter.sh/capacity-type" "spot")
  "gke" (list "cloud.google.com/gke-spot" "true")
  "aks" (list "kubernetes.azure.com/scalesetpriority" "spot") }}
{{- with .imagePullSecrets }}
imagePullSecrets: [{{ range $i, $name := . }}{{ if $i }}, {{ end }}{ name: {{ $name | quote }} }{{ end }}]
{{- end }}
{{- with $scheduling.priorityClass }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with $scheduling.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- $tolerations := $scheduling.tolerations }}
{{- with get $spot $scheduling.preset }}
{{- $match := dict "key" (first .) "operator" (ternary "NotIn" "In" (eq $scheduling.spot "never")) "values" (rest .) }}
affinity:
  nodeAffinity:
    {{- if eq $scheduling.spot "preferred" }}
    preferredDuringSchedulingIgnoredDuringExecution:
      - { weight: 100, preference: { matchExpressions: [{{ toJson $match }}] } }
    {{- else }}
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms: [{ matchExpressions: [{{ toJson $match }}] }]
    {{- end }}
{{- if and (ne $scheduling.spot "never") (has $scheduling.preset (list "gke" "aks")) }}
{{- $taint := dict "key" (first .) "operator" "Equal" "value" (last .) "effect" "NoSchedule" }}
{{- $tolerations = append $tolerations $taint }}
{{- end }}
{{- end }}
{{- with $tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- end }}

{{/* A quantity of memory as a number of bytes. */}}
{{- define "preview.bytes" -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000
  "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 }}
{{- mulf (regexFind "^[0-9.]+" .) (get $units (regexFind "[A-Za-z]*$" .)) | int64 }}
{{- end }}

{{/* Requests and limits: dict "own" (may be empty) "defaults". A limit is never below its request; the value that the service sets wins. */}}
{{- define "preview.resources" -}}
{{- $own := .own | default dict }}
{{- $request := $own.memory | default .defaults.memory }}
{{- $limit := $own.memoryLimit | default .defaults.memoryLimit }}
{{- if lt (include "preview.bytes" $limit | int64) (include "preview.bytes" $request | int64) }}
  {{- if $own.memoryLimit }}{{ $request = $limit }}{{ else }}{{ $limit = $request }}{{ end }}
{{- end -}}
requests: { cpu: {{ $own.cpu | default .defaults.cpu | quote }}, memory: {{ $request | quote }}{{ with $own.room }}, ephemeral-storage: {{ quote . }}{{ end }} }
limits: { memory: {{ $limit | quote }} }
{{- end }}
