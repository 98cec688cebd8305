{{- define "mi.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}-micro-integrator
{{- end }}

{{- define "mi.selector" -}}
app.kubernetes.io/name: micro-integrator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "mi.labels" -}}
{{ include "mi.selector" . }}
app.kubernetes.io/version: {{ .Values.wso2.deployment.BuildVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "mi.home" -}}
/home/wso2carbon/wso2mi-{{ .Values.wso2.deployment.BuildVersion }}
{{- end }}

{{- define "mi.image" -}}
{{- $image := .Values.wso2.deployment.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .Values.wso2.deployment.BuildVersion }}
{{- end }}
{{- end }}

{{- /* A base port with the offset. */ -}}
{{- define "mi.port" -}}
{{- add .base (.root.Values.wso2.config.portOffset | int) }}
{{- end }}
