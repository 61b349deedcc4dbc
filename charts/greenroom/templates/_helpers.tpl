{{- define "greenroom.labels" -}}
app.kubernetes.io/name: greenroom
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "greenroom.selector" -}}
app.kubernetes.io/name: greenroom
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The settings of greenroom.yaml that the templates use, with their defaults, as YAML. */}}
{{- define "greenroom.facts" -}}
{{- $config := .Values.configuration.greenroom }}
{{- $argo := $config.argocd | default dict }}
{{- $chart := $argo.chart | default "" }}
{{- $repo := "" }}
{{- $inside := "" }}
{{- if hasPrefix "oci://" $chart }}
{{- $repo = dir (trimPrefix "oci://" $chart) }}
{{- $inside = base $chart }}
{{- else if $chart }}
{{- $parts := splitn "://" 2 $chart }}
{{- $repo = printf "%s://%s" $parts._0 (splitn "//" 2 $parts._1)._0 }}
{{- $inside = (splitn "//" 2 $parts._1)._1 }}
{{- end }}
installation: {{ required "configuration.greenroom.installation is empty. Name this installation, such as `acme`." $config.installation | quote }}
prefix: {{ $config.namePrefix | default "preview" | quote }}
namespace: {{ $argo.namespace | default "argocd" | quote }}
project: {{ $argo.project | default "greenroom-previews" | quote }}
destination: {{ $argo.destination | default "in-cluster" | quote }}
plugin: {{ $argo.plugin | default "greenroom-plugin" | quote }}
repository: {{ $repo | quote }}
chart: {{ ternary $inside "" (hasPrefix "oci://" $chart) | quote }}
path: {{ ternary "" $inside (hasPrefix "oci://" $chart) | quote }}
objects: {{ $argo.objectNamespace | default ($argo.namespace | default "argocd") | quote }}
{{- $seeds := $config.seeds | default dict }}
builds: {{ eq ($seeds.build | default "ci") "cluster" }}
seeds: {{ $seeds.namespace | default "greenroom-seeds" | quote }}
sweep: {{ eq ($argo.sweep | default "report") "delete" }}
account: {{ printf "system:serviceaccount:%s:%s" .Release.Namespace .Release.Name | quote }}
{{- end }}

{{- define "greenroom.image" -}}
{{- with .Values.image }}{{ .repository }}{{ ternary (printf "@%s" .digest) (printf ":%s" (.tag | default $.Chart.AppVersion)) (ne .digest "") }}{{ end }}
{{- end }}

{{- define "greenroom.priorityClass" -}}
{{- .Values.priorityClass.name | default (printf "greenroom-preview-%s" (include "greenroom.facts" . | fromYaml).installation) }}
{{- end }}

{{/* greenroom.yaml, with the settings that a pod needs. */}}
{{- define "greenroom.yaml" -}}
{{- $config := deepCopy .Values.configuration.greenroom }}
{{- $listen := dict "webhook" "0.0.0.0:8080" "plugin" "0.0.0.0:8081" "dashboard" "127.0.0.1:8082" "admin" "127.0.0.1:8083" "metrics" "0.0.0.0:8084" }}
{{- $_ := set $config "listen" (merge ($config.listen | default dict) $listen) }}
{{- $_ := set $config "reader" (dict "namespace" .Release.Namespace "serviceAccount" .Release.Name) }}
{{- $_ := set $config "state" "/var/lib/greenroom" }}
{{- if .Values.database.existingSecret }}
{{- $_ := set $config "databaseFrom" (dict "env" "GREENROOM_DATABASE") }}
{{- end }}
{{- if and .Values.priorityClass.create (eq (include "greenroom.facts" . | fromYaml).destination "in-cluster") }}
{{- $_ := set $config "scheduling" (merge ($config.scheduling | default dict) (dict "priorityClass" (include "greenroom.priorityClass" .))) }}
{{- end }}
{{- include "greenroom.file" $config }}
{{- end }}

{{/* A configuration file as JSON, which every YAML parser reads the same way. toYaml leaves `=` and U+0085 unquoted, and
Greenroom's parser interprets both. */}}
{{- define "greenroom.file" -}}
{{- toPrettyJson . | replace "\u0085" "\\u0085" }}
{{- end }}
