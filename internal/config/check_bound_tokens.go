package config

// checkBoundTokens checks who receives access tokens that are bound to a key of the gate (client_dpop): whoever verifies the binding
// refuses them without a proof, and only the gate can make one.
func (r *Route) checkBoundTokens() {
	c, h := r.block.Checker(), &r.OIDC.Headers
	if !r.OIDC.Flow.Client.ClientDPoP {
		c.Must("upstream_dpop", !h.UpstreamDPoP, "the gate has a key only for tokens that it asked for with a proof: add client_dpop: true")
		return
	}
	c.Must("downstream_access_token_header", h.DownstreamAccessTokenHeader == "",
		"client_dpop binds the access token to a key of the gate, so the client can't use it: take one of them out")
	chosen := h.UpstreamAccessTokenHeader == nil || c.IsSet("upstream_access_token_header")
	c.Must("client_dpop", h.UpstreamDPoP || chosen,
		"the upstream would receive access tokens that are bound to a key of the gate as bearer tokens: add upstream_dpop: true, or "+
			"upstream_access_token_header: null to send none, or authorization:bearer there if the upstream takes them without a proof")
}
