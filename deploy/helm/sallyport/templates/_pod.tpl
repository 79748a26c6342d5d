{{- define "sallyport.pod" -}}
serviceAccountName: {{ include "sallyport.serviceAccount" . }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ include "sallyport.grace" . }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - {{ toYaml . | nindent 4 | trim }}
    {{- if not .labelSelector }}
    labelSelector:
      matchLabels: {{- include "sallyport.selector" $ | nindent 8 }}
    {{- end }}
  {{- end }}
{{- end }}
containers:
  - name: sallyport
    {{- include "sallyport.container" . | nindent 4 }}
volumes:
  - name: config
    configMap:
      name: {{ include "sallyport.fullname" . }}
      items:
        - {key: sallyport.yaml, path: sallyport.yaml}
        {{- range $name, $text := .Values.routes }}
        - {key: {{ printf "routes.%s" $name }}, path: {{ printf "routes/%s" $name }}}
        {{- end }}
  {{- with include "sallyport.secretName" . }}
  - name: secret
    secret: {secretName: {{ . }}, defaultMode: 0440}
  {{- end }}
  {{- with .Values.tlsSecret }}
  - name: tls
    secret: {secretName: {{ . }}, defaultMode: 0440}
  {{- end }}
  {{- with .Values.volumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "sallyport.container" -}}
image: {{ include "sallyport.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [run, -c, /etc/sallyport/sallyport.yaml]
env:
  - {name: SALLYPORT_LISTEN, value: ":{{ .Values.ports.http }}"}
  - {name: SALLYPORT_ADMIN_LISTEN, value: ":{{ .Values.ports.admin }}"}
  {{- with .Values.goMemoryLimit }}
  - {name: GOMEMLIMIT, value: {{ . | quote }}}
  {{- end }}
  {{- with .Values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  - {name: http, containerPort: {{ .Values.ports.http }}}
  - {name: admin, containerPort: {{ .Values.ports.admin }}}
  {{- range .Values.extraPorts }}
  - {name: {{ .name }}, containerPort: {{ .port }}}
  {{- end }}
startupProbe:
  httpGet: {path: /healthz, port: admin}
  periodSeconds: 1
  failureThreshold: 30
livenessProbe:
  httpGet: {path: /healthz, port: admin}
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- if .Values.preStopSeconds }}
lifecycle:
  preStop:
    sleep: {seconds: {{ .Values.preStopSeconds }}}
{{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- with .Values.resources }}
resources: {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - {name: config, mountPath: /etc/sallyport, readOnly: true}
  {{- if include "sallyport.secretName" . }}
  - {name: secret, mountPath: /run/secrets/sallyport, readOnly: true}
  {{- end }}
  {{- if .Values.tlsSecret }}
  - {name: tls, mountPath: /run/secrets/sallyport-tls, readOnly: true}
  {{- end }}
  {{- with .Values.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
