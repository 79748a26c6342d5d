package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"sallyport/internal/config"
)

// healthTimeout is the timeout of the request to the admin listener.
const healthTimeout = 3 * time.Second

// Health requests a path, /readyz or /healthz, of the admin listener of a gate on this machine, and writes the response. It reads the
// listener's address from the configuration file; without the file it uses the default. It returns an error for a status other than 200.
func Health(ctx context.Context, file, path string, out io.Writer) error {
	address, err := adminURL(file)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address+path, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{}} // no proxy of the environment
	defer client.CloseIdleConnections()
	response, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("nothing answers at admin.listen: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", path, response.Status, strings.TrimSpace(string(body)))
	}
	_, err = out.Write(body)
	return err
}

// adminURL returns the URL of the admin listener of a gate on this machine, without a path, for its configuration file.
func adminURL(file string) (string, error) {
	address, err := config.AdminAddress(file)
	if err != nil {
		return "", err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("admin.listen: expected host:port, got %q", address)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port), nil
}
