{{/*
The table of needs. A kind is data, one entry: dict "password" "host" when its URL is asked for.

image     the stock image, without its tag
port      where it listens
user      what its image runs as; runAsNonRoot asks for a number
memory    the most that it may take
url       what a service is given
check     a command that succeeds when HOST answers queries
env       settings of the image, also of one that carries a seed
password  the variable that the image takes its password from
stock     settings of the stock image only: an image of one's own carries its own data
data      where the stock image's data is mounted
shared    how much shared memory it may use (a container's default is 64 MiB)
*/}}
{{- define "need.postgresql" -}}
port: 5432
user: 999
memory: 1Gi
url: "postgresql://app:{{ .password }}@{{ .host }}:5432/app"
check: [pg_isready, -q, -t, "2", -h, HOST, -p, "5432", -U, app, -d, app]
env: { POSTGRES_USER: app, POSTGRES_DB: app }
password: POSTGRES_PASSWORD
stock: { PGDATA: /var/lib/preview/pgdata }
data: /var/lib/preview
shared: 256Mi
{{- end }}

{{/* The entry of a need's kind, its image resolved: dict "root" "need" "host" "password". */}}
{{- define "preview.need" -}}
{{- include (printf "need.%s" .need.kind) . }}
image: {{ .need.image | default (printf "%s:%s" (get .root.Values.settings.images .need.kind) .need.version) | quote }}
{{- end }}
