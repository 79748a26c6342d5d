package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/strict"
)

// A parameter is a row of testdata/kong-parameters.txt.
type parameter struct {
	name, paste string // paste is a part of an oidc block with the parameter
	shown       string // the scenario, or the package and test, that shows the parameter; "" if it is refused
	refused     string // the complete problem with paste, or, if fixed, with other
	fixed       bool   // only the value in paste is accepted, which is what the gate does anyway
	other       string // as paste, with another value
	former      bool   // a former name of Kong's
}

// readParameters returns the rows of testdata/kong-parameters.txt.
func readParameters(t *testing.T) (all []parameter) {
	t.Helper()
	data, err := os.ReadFile("../../testdata/kong-parameters.txt")
	if err != nil {
		t.Fatal(err)
	}
	former := false
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		former = former || line == "# Former names"
		if line == "" || line[0] == '#' {
			continue
		}
		column := strings.SplitN(line, " | ", 3)
		if len(column) != 3 {
			t.Fatalf("expected three columns: %s", line)
		}
		p := parameter{name: column[0], paste: column[1], former: former}
		if shown, ok := strings.CutPrefix(column[2], "works "); ok {
			p.shown = shown
		} else if another, ok := strings.CutPrefix(column[2], "fixed | "); ok {
			p.fixed = true
			p.other, p.refused, _ = strings.Cut(another, " | ")
		} else if p.refused, ok = strings.CutPrefix(column[2], "refused "); !ok {
			t.Fatalf("expected works, fixed or refused: %s", line)
		}
		all = append(all, p)
	}
	return all
}

// TestKongParameters loads a file with each parameter of Kong's plugin, and with each member of one. Either the file loads and a scenario
// or a test shows the effect, or the file is refused with the problem in the row.
func TestKongParameters(t *testing.T) {
	setKeys(t)
	works, fixed, refused := 0, 0, 0
	for _, p := range readParameters(t) {
		if !p.former && !strings.Contains(p.name, ".") {
			switch {
			case p.shown != "":
				works++
			case p.fixed:
				fixed++
			default:
				refused++
			}
		}
		if p.fixed {
			checkPaste(t, p.name, p.other, p.refused)
			p.refused = ""
		}
		checkPaste(t, p.name, p.paste, p.refused)
		if p.shown != "" {
			checkShown(t, p.name, p.shown, reflect.TypeFor[OIDC](), p.name)
		}
	}
	if works+fixed+refused != 235 {
		t.Errorf("expected 235 parameters, got %d", works+fixed+refused)
	}
	page, err := os.ReadFile("../../configs/kong.md")
	if err != nil {
		t.Fatal(err)
	}
	line := fmt.Sprintf("%d of the 235 parameters work, %d have one value only, %d are refused.", works, fixed, refused)
	if !strings.Contains(string(page), "\n"+line) {
		t.Errorf("configs/kong.md doesn't say: %s", line)
	}
}

// checkPaste checks that paste has a parameter, and that it loads or has only this problem.
func checkPaste(t *testing.T, name, paste, problem string) {
	t.Helper()
	if !slices.Contains(namesIn("oidc: {"+paste+"}"), name) {
		t.Errorf("%s: %s doesn't have it", name, paste)
	}
	got := ""
	if _, err := loadText(t, pasted(paste)); err != nil {
		got = err.(strict.Problems)[0].Text
		if n := len(err.(strict.Problems)); n > 1 {
			t.Errorf("%s: %d problems: %v", name, n, err)
		}
	}
	if got != problem {
		t.Errorf("%s: %s: got the problem %q, expected %q", name, paste, got, problem)
	}
}

// pasted returns a file with paste in its oidc block.
func pasted(paste string) string {
	for _, needed := range []string{"client_id: app", "issuer: https://idp.example.com/realms/main"} {
		if name, _, _ := strings.Cut(needed, ":"); !slices.Contains(namesIn("oidc: {"+paste+"}"), name) {
			paste = needed + ", " + paste
		}
	}
	return "consumers: [{username: nobody}]\nroutes:\n  - route: {upstream: \"http://127.0.0.1:8080\"}\n    oidc: {" + paste + "}\n"
}

// setKeys sets the variables with the keys of the client_jwk rows.
func setKeys(t *testing.T) {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, e.Public(), e)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("EC_X5C", base64.StdEncoding.EncodeToString(der))
	for name, n := range map[string]*big.Int{
		"RSA_N": r.N, "RSA_E": big.NewInt(int64(r.E)), "RSA_D": r.D, "RSA_P": r.Primes[0], "RSA_Q": r.Primes[1],
		"RSA_DP": r.Precomputed.Dp, "RSA_DQ": r.Precomputed.Dq, "RSA_QI": r.Precomputed.Qinv,
	} {
		t.Setenv(name, base64.RawURLEncoding.EncodeToString(n.Bytes()))
	}
	private, errPrivate := e.Bytes()
	public, errPublic := e.PublicKey.Bytes() // 4, then the coordinates (SEC 1 §2.3.3)
	if err := errors.Join(errPrivate, errPublic); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"EC_X": public[1:33], "EC_Y": public[33:], "EC_D": private} {
		t.Setenv(name, base64.RawURLEncoding.EncodeToString(b))
	}
}

// elementOf returns the type below pointers and lists.
func elementOf(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t
}

// namesIn returns the parameters in the oidc blocks of a file, and their members.
func namesIn(text string) (names []string) {
	var r strict.Report
	root := r.Parse("file", []byte(text))
	if root == nil {
		return nil
	}
	blocks := []*strict.Value{root}
	if routes := root.Get("routes"); routes != nil {
		blocks = append(blocks, routes.Value.Items...)
	}
	for _, b := range blocks {
		oidc := b.Get("oidc")
		if oidc == nil {
			continue
		}
		settings := []*strict.Value{oidc.Value}
		if issuers := oidc.Value.Get(issuersKey); issuers != nil {
			settings = append(settings, issuers.Value.Items...)
		}
		for _, s := range settings {
			names = append(names, members(flatten(&r, s), "")...)
		}
	}
	return names
}

// members returns the keys of a mapping and of the mappings in it.
func members(v *strict.Value, prefix string) (names []string) {
	for _, p := range v.Pairs {
		name := prefix + p.Key
		names = append(names, name)
		switch p.Value.Kind {
		case strict.Mapping:
			names = append(names, members(p.Value, name+".")...)
		case strict.List:
			for _, item := range p.Value.Items {
				names = append(names, members(item, name+"[].")...)
			}
		}
	}
	return names
}

// ours are the parameters that Kong's plugin doesn't have.
var ours = strings.Fields(`
	allow_insecure_http ca_file calls_per_client fapi_interaction_id hsts_max_age profile profile_message_signing token_signing_algs
	verify_granted_scopes verify_response_issuer client_assertion_audience client_assertion_file client_dpop credential_body_limit
	id_token_audiences_trusted id_token_signed_response_alg preserve_post session_close_streams session_cookie_single_process
	session_near_cache login_issuer_arg tls_client_auth_cert_file tls_client_auth_key_file trusted_origins
	access_token_profile proof_of_possession_required dpop_signing_alg_values_supported dpop_forward
	proof_of_possession_mtls_from_header.ca_file
	end_session_method end_session_redirect_param_name groups_overage_endpoint userinfo_subject_claim
	cluster_cache_redis.ca_file cluster_cache_redis.prefix cluster_cache_redis.socket redis.ca_file
	cluster_cache_redis.cert_file cluster_cache_redis.key_file cluster_cache_redis.wait_replicas cluster_cache_redis.wait_timeout
	redis.cert_file redis.key_file redis.wait_replicas redis.wait_timeout
	token_exchange.subject_token_issuers[].audience_required token_exchange.request.subject_token_type
	token_exchange.request.requested_token_type upstream_dpop
	upstream_assertion_header upstream_assertion_issuer upstream_assertion_claims mtls_userinfo_endpoint
	mtls_pushed_authorization_request_endpoint request_object_signing_alg request_object_encryption_alg
	request_object_encryption_enc authorization_signed_response_alg client_decryption_jwk id_token_encrypted_response_alg
	userinfo_encrypted_response_alg introspection_encrypted_response_alg authorization_encrypted_response_alg
	client_decryption_jwk[].kty client_decryption_jwk[].use client_decryption_jwk[].alg client_decryption_jwk[].kid
	client_decryption_jwk[].n client_decryption_jwk[].e client_decryption_jwk[].crv client_decryption_jwk[].x
	client_decryption_jwk[].y client_decryption_jwk[].d client_decryption_jwk[].p client_decryption_jwk[].q
	client_decryption_jwk[].dp client_decryption_jwk[].dq client_decryption_jwk[].qi
`)

// TestNoParameterIsMissing compares the table with the structs and refusals: each setting has a row or is in ours, each refusal has a row,
// and each parameter that works is a setting.
func TestNoParameterIsMissing(t *testing.T) {
	rows := map[string]parameter{}
	for _, p := range readParameters(t) {
		if _, twice := rows[p.name]; twice {
			t.Errorf("%s has two rows", p.name)
		}
		rows[p.name] = p
	}
	have := map[string]bool{}
	for _, name := range settings(reflect.TypeFor[OIDC](), "") {
		have[name] = true
		if p, row := rows[name]; !row != slices.Contains(ours, name) {
			t.Errorf("%s: it must have a row, or be one of ours", name)
		} else if row && p.refused != "" && !p.fixed {
			t.Errorf("%s is a setting, and the row says that it is refused", name)
		}
	}
	for _, name := range ours {
		if !have[name] {
			t.Errorf("%s is no setting", name)
		}
	}
	refused := map[string]*refusal{}
	for scope, all := range refusals {
		for name, r := range all {
			switch of, below := strings.CutPrefix(scope, "oidc."); {
			case scope == "oidc":
				refused[name] = r
			case below && of == "client_jwk":
				refused[of+"[]."+name] = r
			case below:
				refused[of+"."+name] = r
			}
		}
	}
	for name := range refused {
		if _, row := rows[name]; !row {
			t.Errorf("%s is refused and has no row", name)
		}
	}
	for name, p := range rows {
		if p.shown != "" && !have[name] && (refused[name] == nil || refused[name].accept == "") {
			t.Errorf("%s: the row says that it works, and it is no setting", name)
		}
	}
}

// settings returns the keys of a struct and of the structs in it.
func settings(in reflect.Type, prefix string) (names []string) {
	for _, f := range strict.ShapeOf(in).Fields {
		names = append(names, prefix+f.Name)
		inner, ok := strict.Structure(elementOf(f.Type))
		if !ok {
			continue
		}
		if f.Type.Kind() == reflect.Slice {
			names = append(names, settings(inner, prefix+f.Name+"[].")...)
		} else {
			names = append(names, settings(inner, prefix+f.Name+".")...)
		}
	}
	return names
}
