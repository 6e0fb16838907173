package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// maxSocketPath is the longest path that every supported kernel accepts in a sockaddr_un: 104 bytes on BSDs, 108 on
// Linux, with the final NUL.
const maxSocketPath = 103

// shortPath returns a path of the same file that fits a socket address, and a function to call when the path is no
// longer used.
func shortPath(dir, name string) (string, func(), error) {
	path := filepath.Join(dir, name)
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	short := fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), name)
	if _, err := os.Stat(filepath.Dir(short)); err != nil {
		_ = d.Close()
		return "", nil, fmt.Errorf("path %s is too long for a socket here: use a shorter state directory", path)
	}
	return short, func() { _ = d.Close() }, nil
}

// listen binds the socket under another name, sets its mode and renames it, so that it never exists with a wider
// mode, and so that the socket of a dead ingest is replaced. The caller has the lock of the state.
func listen(dir string) (net.Listener, error) {
	const fresh = ".ingest.sock.new"
	if err := os.Remove(filepath.Join(dir, fresh)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	path, done, err := shortPath(dir, fresh)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // under its new name we remove it ourselves
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	if err := os.Rename(filepath.Join(dir, fresh), filepath.Join(dir, SocketName)); err != nil {
		l.Close()
		return nil, err
	}
	return sameUserListener{l}, nil
}

// dial connects to the socket in dir.
func dial(ctx context.Context, dir string) (net.Conn, error) {
	path, done, err := shortPath(dir, SocketName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotRunning
	}
	if err != nil {
		return nil, err
	}
	defer done()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return nil, ErrNotRunning
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w: %s", ErrForbidden, filepath.Join(dir, SocketName))
	}
	return conn, err
}

// sameUserListener drops connections of other users, root apart, whatever the
// modes of the directories have become.
type sameUserListener struct{ *net.UnixListener }

// Accept waits for a connection of this user.
func (l sameUserListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		uid, err := peerUser(conn)
		if err == nil && (uid == os.Geteuid() || uid == 0) {
			return conn, nil
		}
		conn.Close()
	}
}
