{{- define "parley.name" -}}
{{- printf "%s-parley" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "parley.labels" -}}
app.kubernetes.io/name: parley
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "parley.selector" -}}
app.kubernetes.io/name: parley
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "parley.secret" -}}
{{- .Values.existingSecret | default (include "parley.name" .) -}}
{{- end }}

{{/* An image of ours: (list $ name) */}}
{{- define "parley.image" -}}
{{- $root := index . 0 -}}
{{- with $root.Values.images.registry }}{{ . }}/{{ end }}{{ index . 1 }}:{{ $root.Values.images.tag }}
{{- end }}

{{/* Settings as variables: server.drain is PARLEY_SERVER__DRAIN */}}
{{- define "parley.settings" -}}
{{- range $name, $value := . }}
- name: PARLEY_{{ $name | upper | replace "." "__" }}
  {{- if kindIs "slice" $value }}
  value: {{ join "," $value | quote }}
  {{- else if kindIs "map" $value }}
  value: {{ toJson $value | quote }}
  {{- else }}
  value: {{ $value | toString | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "parley.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "parley.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "parley.volumes" -}}
- name: tmp
  emptyDir: { sizeLimit: 512Mi }
- name: data
  {{- if .models.claim }}
  persistentVolumeClaim: { claimName: {{ .models.claim }} }
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- end }}

{{- define "parley.mounts" -}}
- { name: tmp, mountPath: /tmp }
- { name: data, mountPath: /data }
{{- end }}
