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

// Secret writes a new client secret and the line that stands for it in the configuration; or with in, which is read to its
// first line's end, only the line that stands for the secret there.
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
