{{- define "sallyport.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "sallyport.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "sallyport.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "sallyport.selector" -}}
app.kubernetes.io/name: {{ include "sallyport.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "sallyport.labels" -}}
{{ include "sallyport.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "sallyport.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "sallyport.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "sallyport.image" -}}
{{- $missing := print "image.repository is missing: write where you have pushed the image of make image, "
      "such as registry.example.com/sallyport" -}}
{{- $repository := required $missing .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "sallyport.secretName" -}}
{{- if .Values.existingSecret -}}
{{- .Values.existingSecret -}}
{{- else if .Values.secret -}}
{{- include "sallyport.fullname" . -}}
{{- end -}}
{{- end -}}

{{- define "sallyport.servicePort" -}}
{{- .Values.service.port | default .Values.ports.http -}}
{{- end -}}

{{/* sallyport.seconds turns a time of the configuration, a number or 1h2m3s, into whole seconds, rounded up. */}}
{{- define "sallyport.seconds" -}}
{{- $text := . | toString -}}
{{- if regexMatch "^[0-9.]+$" $text -}}
{{- $text | float64 | ceil | int -}}
{{- else -}}
{{- $sum := 0.0 -}}
{{- range $part := regexFindAll "[0-9.]+(ms|h|m|s)" $text -1 -}}
{{- $number := regexFind "^[0-9.]+" $part | float64 -}}
{{- $factor := get (dict "h" 3600.0 "m" 60.0 "s" 1.0 "ms" 0.001) (regexFind "[a-z]+$" $part) -}}
{{- $sum = addf $sum (mulf $number $factor) -}}
{{- end -}}
{{- $sum | ceil | int -}}
{{- end -}}
{{- end -}}

{{/* sallyport.grace is the time in seconds that a pod has to stop. */}}
{{- define "sallyport.grace" -}}
{{- $limits := (fromYaml .Values.config).limits | default dict -}}
{{- $drain := "30" -}}
{{- if hasKey $limits "drain_timeout" -}}
{{- $drain = include "sallyport.seconds" $limits.drain_timeout -}}
{{- end -}}
{{- add .Values.preStopSeconds ($drain | int) 5 -}}
{{- end -}}

{{/* sallyport.ownPaths are the gate's own paths behind Envoy Gateway, as JSON. */}}
{{- define "sallyport.ownPaths" -}}
{{- $ext := .Values.gateway.extAuth -}}
{{- if $ext.snippet -}}
{{- $paths := list -}}
{{- range (fromYaml $ext.snippet).routes -}}
{{- $paths = append $paths .match.path -}}
{{- end -}}
{{- $paths | uniq | toJson -}}
{{- else -}}
{{- $ext.ownPaths | toJson -}}
{{- end -}}
{{- end -}}
