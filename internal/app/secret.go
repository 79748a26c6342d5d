package app

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/authserver"
)

// Secret writes a new client secret, and its hash as a line of the configuration. If in isn't nil, the secret is the first line of in, and
// only the hash is written.
func Secret(in io.Reader, out io.Writer) error {
	if in == nil {
		secret, line := authserver.NewSecret()
		_, err := fmt.Fprintf(out, "client_secret: %s\nclient_secret_hash: %s\n", string(secret), line)
		return err
	}
	text, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	secret := strings.TrimRight(text, "\r\n")
	if secret == "" {
		return errors.New("sallyport secret: expected a secret on standard input")
	}
	_, err = fmt.Fprintf(out, "client_secret_hash: %s\n", authserver.Hash(auth.Secret(secret)))
	return err
}
