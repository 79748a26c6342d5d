package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// serveBare serves the bare proxy at address until the process ends.
func serveBare(address, upstream string) error {
	h, err := bareProxy(upstream)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: address, Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	return server.ListenAndServe()
}

// bareProxy returns the reference for all measurements: a tuned ReverseProxy without other features.
func bareProxy(upstream string) (http.Handler, error) {
	target, err := url.Parse(upstream)
	verify, errKey := newES256()
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			if r.SetURL(target); r.In.URL.Path == es256Path {
				verify()
			}
		},
		Transport:  &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true, IdleConnTimeout: 90 * time.Second},
		BufferPool: &buffers{},
	}, errors.Join(err, errKey)
}

// es256Path is the path at which the bare proxy verifies a signature for each request: what DPoP costs at least.
const es256Path = "/es256"

// newES256 returns a function that verifies one ES256 signature.
func newES256() (verify func(), err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte("a proof"))
	signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	return func() {
		if !ecdsa.VerifyASN1(&key.PublicKey, sum[:], signature) {
			panic("bench: the signature isn't valid")
		}
	}, err
}

// buffers is an httputil.BufferPool.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(p []byte) { b.pool.Put(&p) }
