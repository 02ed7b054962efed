package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"syscall"
)

// ErrNotRunning means that no daemon answers in the socket directory.
var ErrNotRunning = errors.New("no daemon is running")

// Client is an HTTP client whose every request goes to the admin socket of dir, whatever the host of the address.
func Client(dir string) *http.Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", filepath.Join(dir, AdminSocket))
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
}

// Get asks the daemon of dir. ErrNotRunning: there is none.
func Get(ctx context.Context, dir string) (*Status, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://weft/status", nil)
	if err != nil {
		return nil, err
	}
	res, err := Client(dir).Do(req)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%w in %s: start one, or name another directory by --socket-dir", ErrNotRunning, dir)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%s is not accessible to this user; ask as the daemon's user, or as root: %w", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("asking the daemon in %s: %w", dir, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return nil, fmt.Errorf("asking the daemon in %s: %w", dir, err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the daemon in %s answers %s", dir, res.Status)
	}
	s := new(Status)
	if err := json.Unmarshal(body, s); err != nil {
		return nil, fmt.Errorf("the daemon in %s sent no status: %w", dir, err)
	}
	if s.Schema != Schema {
		return nil, fmt.Errorf("the daemon in %s is of version %s, its status has schema %d and this weft reads %d: use its own binary",
			dir, s.Version, s.Schema, Schema)
	}
	return s, nil
}
