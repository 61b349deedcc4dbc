{{/*
The table of needs. A kind is data: image, port, URL, how to wait for it, its container. `spec.image` replaces the stock
image, and then carries its own data (a seed in a layer): nothing is mounted over it.
*/}}
{{- define "need.postgresql.image" -}}
{{ .image | default (printf "docker.io/library/postgres:%s" .version) }}
{{- end }}
{{- define "need.postgresql.port" -}}5432{{- end }}
{{- define "need.postgresql.user" -}}999{{- end }}
{{- define "need.postgresql.url" -}}
postgresql://app:{{ .password }}@{{ .host }}:5432/app
{{- end }}
{{- define "need.postgresql.wait" -}}
image: {{ include "need.postgresql.image" .spec | quote }}
command: [sh, -c, {{ printf "until pg_isready -q -t 2 -h %s -p 5432 -U app -d app; do sleep 0.2; done" .host | quote }}]
{{- end }}
{{- define "need.postgresql.container" -}}
image: {{ include "need.postgresql.image" .spec | quote }}
env:
  - { name: POSTGRES_USER, value: app }
  - { name: POSTGRES_DB, value: app }
  - name: POSTGRES_PASSWORD
    valueFrom: { secretKeyRef: { name: {{ .name }}, key: password } }
  {{- if not .spec.image }}
  - { name: PGDATA, value: /var/lib/postgresql/data/pgdata }
  {{- end }}
ports: [{ name: postgresql, containerPort: 5432 }]
readinessProbe:
  exec: { command: [pg_isready, -q, -h, 127.0.0.1, -p, "5432", -U, app, -d, app] }
  periodSeconds: 1
  timeoutSeconds: 3
{{- if not .spec.image }}
volumeMounts:
  - { name: data, mountPath: /var/lib/postgresql/data }
  - { name: run, mountPath: /var/run/postgresql }
{{- end }}
{{- end }}
