{{/* The name of all that belongs to the updater, and the beginning of all other names. */}}
{{- define "kv-updater.fullname" -}}
{{- $name := .Values.fullnameOverride | default .Release.Name }}
{{- if not (or .Values.fullnameOverride (contains .Chart.Name .Release.Name)) }}
{{- $name = printf "%s-%s" .Release.Name .Chart.Name }}
{{- end }}
{{- $name = $name | trunc 59 | trimSuffix "-" }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) }}
{{- fail (printf "fullnameOverride: a Service cannot be called %s; set a name that begins with a letter and has only small letters, digits and hyphens" $name) }}
{{- end }}
{{- $name }}
{{- end }}

{{- define "kv-updater.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "kv-updater.labels" -}}
{{ include "kv-updater.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "kv-updater.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ printf "%s@%s" .repository .digest }}
{{- else }}{{ printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "kv-updater.secretName" -}}
{{ .Values.secret.existing | default (include "kv-updater.fullname" .) }}
{{- end }}

{{/* The ports that the URLs of the servers name, and that the rules of the network do not let through, with a comma
     between. Nothing where a rule of `egress` is for every port. */}}
{{- define "kv-updater.closedPorts" -}}
{{- $open := list }}
{{- range .Values.networkPolicy.redisPorts }}{{ $open = append $open (int .) }}{{ end }}
{{- $every := false }}
{{- range .Values.networkPolicy.egress }}
{{- if not .ports }}{{ $every = true }}{{ end }}
{{- range .ports }}{{ $open = append $open (int .port) }}{{ end }}
{{- end }}
{{- $closed := list }}
{{- range list .Values.secret.redis_url .Values.secret.store_url }}
{{- if and . (not (hasPrefix "unix:" .)) }}
{{- $default := ternary 26379 6379 (contains "+sentinel:" .) }}
{{- $hosts := regexReplaceAll "^[^:]*://([^/?#]*@)?([^/?#]*).*$" . "${2}" }}
{{- range splitList "," $hosts }}
{{- $port := regexFind ":[0-9]+$" . | trimPrefix ":" | default $default | int }}
{{- if not (has $port $open) }}{{ $closed = append $closed $port }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- if not $every }}{{ uniq $closed | join ", " }}{{ end }}
{{- end }}

{{/* The configuration file. Values as JSON, which is YAML too: so no text becomes a number or a date on the way. */}}
{{- define "kv-updater.config" -}}
{{- range $key, $value := .Values.settings }}
{{ $key }}: {{ toJson $value }}
{{- end }}
{{- end }}

{{/* Of a duration as the application takes it, 90 or "1.5m", the seconds, rounded up. */}}
{{- define "kv-updater.seconds" -}}
{{- $text := toString . | trim }}
{{- $number := regexFind "^[0-9.]+" $text | float64 }}
{{- $unit := regexFind "[a-z]*$" $text | default "s" }}
{{- mulf $number (get (dict "ms" 0.001 "s" 1 "m" 60 "h" 3600 "d" 86400) $unit) | ceil | int64 }}
{{- end }}

{{/* Longer than the programs need to stop: shutdown_timeout, five seconds for the wait before that, and some more. */}}
{{- define "kv-updater.grace" -}}
{{- add (include "kv-updater.seconds" (.Values.settings.shutdown_timeout | default "10s") | int64) 20 }}
{{- end }}

{{/* Another one with each change of what the pods read when they start. Who may see pods, and no Secrets, is not to
     find a password by trying: so there a derivation that takes long comes first. */}}
{{- define "kv-updater.checksum" -}}
{{- $secret := .Values.secret.existing }}
{{- if not $secret }}
{{- $secret = derivePassword 1 "maximum" (toJson .Values.secret) .Chart.Name .Release.Name }}
{{- end }}
{{- print (include "kv-updater.config" .) $secret | sha256sum }}
{{- end }}
