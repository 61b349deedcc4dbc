{{/* The entry in kinds.yaml for a need, with the resolved image, as JSON: dict "root" "need". */}}
{{- define "preview.kind" -}}
{{- $kinds := .root.Files.Get "kinds.yaml" | fromYaml }}
{{- $kind := get $kinds .need.kind }}
{{- if not $kind }}
  {{- fail (printf "There is no kind of need called %s. Use one of %s." .need.kind (keys $kinds | sortAlpha | join ", ")) }}
{{- end }}
{{- $stock := printf "%s:%s" (get .root.Values.settings.images .need.kind | default $kind.image) .need.version }}
{{- set $kind "image" (.need.image | default $stock) | toJson }}
{{- end }}

{{/*
All needs of a service, its own and those that it shares, as JSON: dict "root" "name" (of the service) "service". Each
is dict "name" (in the cluster: of its Secret, its Service and its workload) "kind" (its entry) "variables" "seeded".
*/}}
{{- define "preview.needs" -}}
{{- $all := list }}
{{- range $need, $spec := .service.needs }}
  {{- $all = append $all (dict "service" $.name "need" $need "spec" $spec "variables" $spec.variables) }}
{{- end }}
{{- range .service.sharedNeeds }}
  {{- $spec := dig .service "needs" .name dict $.root.Values.services }}
  {{- if not $spec }}
    {{- fail (printf "%s shares the need %s of %s, which does not exist. Share a need of a service in this preview." $.name .name .service) }}
  {{- end }}
  {{- $all = append $all (dict "service" .service "need" .name "spec" $spec "variables" .variables) }}
{{- end }}
{{- $found := list }}
{{- range $all }}
  {{- $name := include "preview.name" (dict "root" $.root "service" .service "part" .need "kind" "need") }}
  {{- $kind := include "preview.kind" (dict "root" $.root "need" .spec) | fromJson }}
  {{- $found = append $found (dict "name" $name "kind" $kind "variables" .variables "seeded" (hasKey .spec "seed")) }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{/*
The URL of a need: dict "kind" (its entry) "host" "password". The password is percent-encoded (RFC 3986, 2.1). Without a
password, the URL has no login. For a kind without a scheme, it is host:port.
*/}}
{{- define "preview.url" -}}
{{- $login := "" }}
{{- if .kind.password }}
{{- $login = printf "%s:%s@" .kind.login (urlquery .password | replace "+" "%20") }}
{{- end }}
{{- with .kind.scheme }}{{ . }}://{{ end }}{{ $login }}{{ .host }}:{{ int64 .kind.port }}{{ with .kind.database }}/{{ . }}{{ end }}
{{- end }}

{{/*
The need that the migration report of a process is about, as JSON: the first one that has a seed, and a server whose log
can say what ran. Empty if there is none, or if the process does not migrate. Argument: as preview.pod.
*/}}
{{- define "preview.reported" -}}
{{- $found := list }}
{{- if and .process.migrates (.service.migrate | default dict).command }}
{{- range include "preview.needs" . | fromJsonArray }}
  {{- if and .seeded .kind.report }}{{ $found = append $found . }}{{ end }}
{{- end }}
{{- end }}
{{- with first $found }}{{ toJson . }}{{ end }}
{{- end }}

{{/* The init container of the migration report: dict "need" (from preview.needs) "moment" (before, after) "root". It never fails. */}}
{{- define "preview.report" -}}
name: report-{{ .moment }}
image: {{ .need.kind.image | quote }}
command: [sh, -c, 'timeout -k 2 30 sh /greenroom/snapshot.sh "$1"; exit 0', report, {{ .moment }}]
env:
  - { name: PGHOST, value: {{ quote .need.name }} }
  - { name: PGPORT, value: {{ int64 .need.kind.port | quote }} }
  - { name: PGUSER, value: {{ quote .need.kind.login }} }
  - { name: PGDATABASE, value: {{ quote .need.kind.database }} }
  - { name: PGPASSWORD, valueFrom: { secretKeyRef: { name: {{ quote .need.name }}, key: password } } }
securityContext:
  runAsUser: {{ int64 .need.kind.user }}
  {{- include "preview.containerSecurity" .root | nindent 2 }}
resources: { requests: { cpu: 10m, memory: 32Mi }, limits: { memory: 128Mi } }
volumeMounts: [{ name: greenroom-report, mountPath: /greenroom, readOnly: true }]
{{- end }}

{{/* The variables from which a need's container and its check read the password: dict "kind" "name". */}}
{{- define "preview.password" -}}
{{- $name := .name }}
{{- range .kind.password }}
- { name: {{ . }}, valueFrom: { secretKeyRef: { name: {{ quote $name }}, key: password } } }
{{- end }}
{{- end }}
