{{/* sallyport.check fails if values contradict each other. `sallyport check` judges the configuration itself. */}}
{{- define "sallyport.check" -}}
{{- $config := required "config is missing: write the text of sallyport.yaml" .Values.config | fromYaml -}}
{{- if hasKey $config "Error" -}}
{{- fail (printf "config isn't YAML: %v" $config.Error) -}}
{{- end -}}
{{- include "sallyport.literals" (dict "in" $config "at" "config") -}}
{{- range $name, $text := .Values.routes -}}
{{- $route := fromYaml $text -}}
{{- if hasKey $route "Error" -}}
{{- fail (printf "routes.%s isn't YAML: %v" $name $route.Error) -}}
{{- end -}}
{{- include "sallyport.literals" (dict "in" $route "at" (printf "routes.%s" $name)) -}}
{{- end -}}
{{- include "sallyport.checkListen" (dict "config" $config "values" .Values) -}}
{{- if and .Values.secret .Values.existingSecret -}}
{{- fail "secret and existingSecret exclude each other: keep one" -}}
{{- end -}}
{{- $lists := dict "ingress.hosts" (list .Values.ingress.enabled .Values.ingress.hosts "the hosts of your routes")
      "gateway.hostnames" (list (and .Values.gateway.enabled .Values.gateway.create) .Values.gateway.hostnames "the hosts of your routes")
      "gateway.extAuth.routes"
        (list (and .Values.gateway.enabled .Values.gateway.extAuth.enabled (not .Values.gateway.extAuth.wholeGateway))
          .Values.gateway.extAuth.routes "the HTTPRoutes to protect, or wholeGateway: true")
      "ingressNginx.apps" (list .Values.ingressNginx.enabled .Values.ingressNginx.apps "the applications to protect") -}}
{{- range $key, $list := $lists -}}
{{- if and (index $list 0) (not (index $list 1)) -}}
{{- fail (printf "%s is empty: write %s" $key (index $list 2)) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.gateway.extAuth.wholeGateway .Values.gateway.extAuth.routes -}}
{{- fail "gateway.extAuth: wholeGateway protects all HTTPRoutes: take routes out" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) -}}
{{- fail "autoscaling.minReplicas is greater than autoscaling.maxReplicas" -}}
{{- end -}}
{{- end -}}

{{/* sallyport.literals fails if the configuration has a secret in plain text, because a ConfigMap is readable to many. */}}
{{- define "sallyport.literals" -}}
{{- $at := .at -}}
{{- if kindIs "map" .in -}}
{{- $isJWK := hasKey .in "kty" -}}
{{- range $key, $value := .in -}}
{{- $here := printf "%s.%s" $at $key -}}
{{- $secret := regexMatch "(^|_)(secret|password|salt)$|^(static_)?token$|^provision_key$|_proxy_authorization$" $key -}}
{{- if or $secret (and $isJWK (regexMatch "^(d|dp|dq|p|q|qi|k)$" $key)) -}}
{{- range $text := kindIs "slice" $value | ternary $value (list $value) -}}
{{- if and (kindIs "string" $text) $text (not (contains "${" $text)) (not (hasPrefix "{vault://" $text)) -}}
{{- fail (print $here ": a secret in plain text would stand in a ConfigMap: move it to secret or existingSecret, "
      "and write ${file:/run/secrets/sallyport/NAME}") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- include "sallyport.literals" (dict "in" $value "at" $here) -}}
{{- end -}}
{{- else if kindIs "slice" .in -}}
{{- range $i, $value := .in -}}
{{- include "sallyport.literals" (dict "in" $value "at" (printf "%s[%d]" $at $i)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* sallyport.checkListen fails if the configuration listens where the pod has no port, or not for the proxy that asks. */}}
{{- define "sallyport.checkListen" -}}
{{- $v := .values -}}
{{- $ports := list (int $v.ports.http) -}}
{{- range $v.extraPorts -}}{{- $ports = append $ports (int .port) -}}{{- end -}}
{{- $listen := .config.listen | default list -}}
{{- $kinds := list -}}
{{- range $l := kindIs "slice" $listen | ternary $listen (list $listen) -}}
{{- $address := kindIs "map" $l | ternary (get (kindIs "map" $l | ternary $l dict) "address") $l | toString -}}
{{- $port := regexFind "[0-9]+$" $address | int -}}
{{- if or (not (has $port $ports)) (regexMatch "^(127\\.|localhost|\\[::1\\])" $address) -}}
{{- fail (printf "config.listen: the pod has no port for %s: write :%d, or take listen out" $address (int $v.ports.http)) -}}
{{- end -}}
{{- if kindIs "map" $l -}}
{{- $ask := $l.forward_auth -}}
{{- $kinds = append $kinds (kindIs "map" $ask | ternary (get (kindIs "map" $ask | ternary $ask dict) "proxy") $ask) -}}
{{- end -}}
{{- end -}}
{{- $admin := printf ":%d" (int $v.ports.admin) -}}
{{- if hasKey (.config.admin | default dict) "listen" -}}
{{- $admin = .config.admin.listen | toString -}}
{{- end -}}
{{- if or (ne (regexFind "[0-9]+$" $admin | int) (int $v.ports.admin)) (regexMatch "^(127\\.|localhost|\\[::1\\])" $admin) -}}
{{- fail (printf "config.admin.listen: the kubelet asks at port %d: write :%[1]d, or take listen out" (int $v.ports.admin)) -}}
{{- end -}}
{{- $asking := dict "gateway.extAuth" (list (and $v.gateway.enabled $v.gateway.extAuth.enabled) "envoy_grpc")
      "traefik" (list $v.traefik.enabled "traefik") "ingressNginx" (list $v.ingressNginx.enabled "oauth2_proxy") -}}
{{- range $key, $pair := $asking -}}
{{- if and (index $pair 0) (not (has (index $pair 1) $kinds)) -}}
{{- fail (printf "%s is enabled, and config has no listener for it: write listen: [{address: \":%d\", forward_auth: %s}]"
      $key (int $v.ports.http) (index $pair 1)) -}}
{{- end -}}
{{- if and (index $pair 0) $v.networkPolicy.enabled (not $v.networkPolicy.from) -}}
{{- fail (print $key " is enabled, and networkPolicy.from is empty: name the pods of the proxy, "
      "because trusted_proxies can't tell them from others") -}}
{{- end -}}
{{- end -}}
{{- end -}}
