package acmecert

import (
	"crypto/ecdsa"
	"encoding/json"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"sallyport/internal/golden"
	"sallyport/internal/redis/redistest"
)

const storedCA = "https://ca.example/directory"

// storedFailure is the failure of the stored records.
func storedFailure(at time.Time) failure {
	return failure{Count: 3, Next: at.Add(time.Hour), Text: "a reason"}
}

// storeCertificates stores an account's key, a certificate, a challenge and a failure as the gate does now.
func storeCertificates(t *testing.T) func(*golden.File) {
	return func(f *golden.File) {
		server, at := redistest.Start(t), time.Now().UTC().Truncate(time.Second)
		s := mustRedisStore(t, server, slog.New(slog.DiscardHandler), storedCA, secret)
		account, errAccount := makeKey("ecdsa")
		accountKey, errKey := encodeKey(account)
		certificate, errCertificate := encodeCertificate(mustCertify(t, "a.example", 7, at, 90*day))
		failed, errFailure := json.Marshal(storedFailure(at))
		offered, errChallenge := json.Marshal(challenge{Host: "a.example", Path: "/.well-known/acme-challenge/x", Response: "x.y"})
		for _, err := range []error{errAccount, errKey, errCertificate, errFailure, errChallenge} {
			if err != nil {
				t.Fatal(err)
			}
		}
		for name, record := range map[string][]byte{
			accountName: accountKey, "a.example": certificate, "a.example" + failureSuffix: failed, challengeName: offered,
		} {
			if err := s.put(t.Context(), name, record, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		f.Put("at", at)
		f.PutRedis("redis", server.Client(t, 0))
	}
}

// TestStored reads what earlier versions have stored in Redis.
func TestStored(t *testing.T) {
	f := golden.Open(t, "redis-v1", storeCertificates(t))
	server, at := redistest.Start(t), f.Time("at")
	f.FillRedis("redis", server.Client(t, 0))
	s := mustRedisStore(t, server, slog.New(slog.DiscardHandler), storedCA, secret)
	get := func(name string) []byte {
		t.Helper()
		data, err := s.get(t.Context(), name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return data
	}
	if key, err := decodeKey(get("account+key")); err != nil || reflect.TypeOf(key) != reflect.TypeFor[*ecdsa.PrivateKey]() {
		t.Errorf("the account's key: %T, %v", key, err)
	}
	if pair, err := decodeCertificate(get("a.example"), "a.example", at.Add(day)); err != nil || pair.Leaf.SerialNumber.Int64() != 7 {
		t.Errorf("the certificate: %+v, %v", pair, err)
	}
	var failed failure
	if err := json.Unmarshal(get("a.example+failure"), &failed); err != nil || failed != storedFailure(at) {
		t.Errorf("the failure: %+v, %v", failed, err)
	}
	var offered challenge
	if err := json.Unmarshal(get("challenge+now"), &offered); err != nil || offered.Host != "a.example" || offered.Response != "x.y" ||
		offered.Path != "/.well-known/acme-challenge/x" {
		t.Errorf("the challenge: %+v, %v", offered, err)
	}
}
