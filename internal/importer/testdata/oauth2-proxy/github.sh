#!/bin/sh
# OAuth2 Proxy for the wiki
exec /usr/local/bin/oauth2-proxy \
  --provider=github --github-org="example" --github-team=wiki,ops \
  --client-id=Iv1.0123456789 --client-secret="$GITHUB_SECRET" \
  --email-domain='*' \
  --upstream=http://127.0.0.1:8081/ --upstream http://127.0.0.1:8082/private/ \
  --http-address=:8080 \
  --session-store-type=redis --redis-use-sentinel --redis-sentinel-master-name=main \
  --redis-sentinel-connection-urls=redis://s1.example.com:26379,redis://s2.example.com:26379 \
  --redis-password=literal-redis --allowed-brands=x --skip-auth-preflight --force-json-errors
