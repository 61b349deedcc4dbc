{{/*
The environment of one process, sorted: dict "root" "name" (of the service) "service" "process". A `$` is doubled, because
Kubernetes turns `$$` into `$` and expands `$(X)`. Values are quoted, not JSON: U+0085 is valid in JSON, but a line break in
YAML.
*/}}
{{- define "preview.env" -}}
{{- $preview := .root.Values.preview }}
{{- $links := .root.Values.links }}
{{- $plain := dict "GREENROOM_PREVIEW" (printf "%s#%d" $preview.repository (int64 $preview.number)) }}
{{- with .service.sha }}{{ $_ := set $plain "VERSION" (trunc 7 .) }}{{ end }}
{{- with .process.port }}{{ $_ := set $plain "PORT" (int64 . | toString) }}{{ end }}
{{- range $key, $value := .service.env }}{{ $_ := set $plain $key $value }}{{ end }}
{{- range $target, $link := .service.links }}
  {{- $byHand := (get $links $target | default dict).url }}
  {{- $url := $byHand | default $link.url }}
  {{- $host := regexReplaceAll "(?s)^[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*@)?([^/?#]*).*$" $url "${2}" }}
  {{- $port := regexFind ":[0-9]+$" $host | trimPrefix ":" | default (ternary "443" "80" (hasPrefix "https:" (lower $url))) }}
  {{- $parts := dict "url" $url "public" ($byHand | default $link.public | default $url) "port" $port
    "host" (regexReplaceAll ":[0-9]+$" $host "") }}
  {{- range $variable, $part := $link.variables }}{{ $_ := set $plain $variable (get $parts $part) }}{{ end }}
{{- end }}
{{- $all := dict }}
{{- range $key, $value := $plain }}{{ $_ := set $all $key (printf "value: %s" (replace "$" "$$" $value | quote)) }}{{ end }}
{{- range include "preview.needs" . | fromJsonArray }}
  {{- $plain := dict "host" .name "port" (int64 .kind.port | toString) "user" .kind.login "database" .kind.database }}
  {{- if not .kind.password }}
    {{- $plain = dict "host" .name "port" $plain.port "url" (include "preview.url" (dict "kind" .kind "host" .name)) }}
  {{- end }}
  {{- $secret := .name }}
  {{- $secrets := ternary (list "url" "password") list (gt (len (.kind.password | default list)) 0) }}
  {{- range $variable, $part := .variables }}
    {{- if not (or (hasKey $plain $part) (has $part $secrets)) }}
      {{- fail (printf "%s refers to the %s of %s, which does not have one. Use %s." $variable $part $secret (keys $plain | sortAlpha | join ", ")) }}
    {{- end }}
    {{- $from := printf "valueFrom: { secretKeyRef: { name: %q, key: %s } }" $secret $part }}
    {{- $_ := set $all $variable (hasKey $plain $part | ternary (printf "value: %q" (get $plain $part)) $from) }}
  {{- end }}
{{- end -}}
env:
{{- range $key, $value := $all }}
  - { name: {{ quote $key }}, {{ $value }} }
{{- end }}
{{- with .service.envFrom }}
envFrom: [{{ range $i, $name := . }}{{ if $i }}, {{ end }}{ secretRef: { name: {{ $name | quote }} } }{{ end }}]
{{- end }}
{{- end }}

{{/* The pod of one process, used by Deployments and CronJobs: dict "root" "name" "service" "processName" "process". */}}
{{- define "preview.pod" -}}
{{- $settings := .root.Values.settings }}
{{- $name := .name }}
{{- $migrate := (.service.migrate | default dict).command }}
{{- $ended := `timeout -k 10 "$0" "$@" & p=$!; trap "kill $p" TERM; wait $p` }}
{{- $resources := include "preview.resources" (dict "own" .service.resources "defaults" $settings.defaults) }}
{{- $needs := include "preview.needs" . | fromJsonArray }}
{{- $reported := include "preview.reported" . | trim | default "null" | fromJson -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "preview.podSecurity" (dict "user" .service.runAsUser) | nindent 2 }}
{{- include "preview.scheduling" $settings }}
{{- if or $needs (and .process.migrates $migrate) }}
initContainers:
  {{- range $needs }}
  - name: {{ printf "wait-%s" .name | quote }}
    image: {{ .kind.image | quote }}
    command: [sh, -c, {{ printf "until %s; do sleep 0.2; done" .kind.check | quote }}, wait, {{ quote .name }}]
    {{- with include "preview.password" . | trim }}
    env:
      {{- nindent 6 . }}
    {{- end }}
    securityContext:
      runAsUser: {{ int64 .kind.user }}
      {{- include "preview.containerSecurity" $ | nindent 6 }}
    resources: { requests: { cpu: 10m, memory: 32Mi }, limits: { memory: 64Mi } }
  {{- end }}
  {{- if and .process.migrates $migrate }}
  {{- with $reported }}
  - {{- include "preview.report" (dict "need" . "moment" "before" "root" $.root) | nindent 4 }}
  {{- end }}
  - name: migrate
    image: {{ .service.image | quote }}
    {{- with .service.migrate.timeoutSeconds }}
    # Init containers have no timeout, and a migration that hangs keeps its locks. The migration is not PID 1 of the
    # container, because PID 1 ignores signals that it does not handle.
    command: {{ include "preview.list" (concat (list "sh" "-c" $ended (int64 . | toString)) $migrate) }}
    {{- else }}
    command: {{ include "preview.list" $migrate }}
    {{- end }}
    {{- include "preview.env" . | nindent 4 }}
    securityContext:
      {{- include "preview.containerSecurity" . | nindent 6 }}
    resources:
      {{- $resources | nindent 6 }}
  {{- with $reported }}
  - {{- include "preview.report" (dict "need" . "moment" "after" "root" $.root) | nindent 4 }}
  {{- end }}
  {{- end }}
{{- end }}
containers:
  - name: {{ .processName | quote }}
    image: {{ .service.image | quote }}
    {{- with .process.command }}
    command: {{ include "preview.list" . }}
    {{- end }}
    {{- include "preview.env" . | nindent 4 }}
    {{- with .process.port }}
    ports: [{ name: {{ $.process.kind }}, containerPort: {{ int64 . }} }]
    {{- if eq $.process.kind "web" }}
    {{- with include "preview.drain" $ | int64 }}
    # Keep serving until the ingress controller knows that the pod is stopping. Kubernetes itself sleeps, so the image needs no shell.
    lifecycle: { preStop: { sleep: { seconds: {{ . }} } } }
    {{- end }}
    # There is no liveness probe: a service that starts slowly is never restarted.
    readinessProbe:
      {{- if $.process.probe }}
      httpGet:
        path: {{ $.process.probe | quote }}
        port: {{ int64 . }}
        {{- with $.service.host }}
        # The public host, because some services reject requests with other hosts or redirect them.
        httpHeaders: [{ name: Host, value: {{ . | quote }} }]
        {{- end }}
      {{- else }}
      tcpSocket: { port: {{ int64 . }} }
      {{- end }}
      periodSeconds: 1
      timeoutSeconds: 5
      failureThreshold: 3
    {{- end }}
    {{- end }}
    securityContext:
      {{- include "preview.containerSecurity" . | nindent 6 }}
    resources:
      {{- $resources | nindent 6 }}
{{- if $reported }}
# Optional: without the scripts, the pod still starts, but has no report.
volumes: [{ name: greenroom-report, configMap: { name: greenroom-report, optional: true } }]
{{- end }}
{{- end }}
