package flow

// BearerSettings say where an access token is read from.
type BearerSettings struct {
	BearerTokenParamType []string `yaml:"bearer_token_param_type" default:"[header]" enum:"header" min:"1"`
}
