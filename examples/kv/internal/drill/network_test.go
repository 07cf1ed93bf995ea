package drill

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Claim: the addresses of all members and proxies differ, where they are in one network.
func TestLoopbackAddressesDiffer(t *testing.T) {
	const n = 5
	l, err := newLoopback(n, "of a test")
	require.NoError(t, err)
	seen := map[string]bool{}
	note := func(address string) {
		require.False(t, seen[address], address)
		seen[address] = true
	}
	for i := range n {
		note(l.peer(i))
		note(l.http(i))
		note(l.control(i))
		for j := range n {
			if j != i {
				note(l.proxy(i, j))
			}
		}
	}
}

// Claim: namespaces are made, lose packets of a direction, and are gone afterwards.
func TestNamespacesComeAndGo(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may make network namespaces; the drill then uses proxies, which other tests cover")
	}
	s, err := newNamespaces(2)
	if err != nil {
		t.Skip("no network namespaces here: ", err)
	}
	defer func() { require.NoError(t, s.close()) }()
	for i := range 2 {
		require.FileExists(t, filepath.Join("/run/netns", s.namespace(i)))
	}
	if s.cutter() != nil {
		require.NoError(t, s.cut(0, 1))
		require.NoError(t, s.mend(0, 1))
		require.Error(t, s.mend(0, 1), "there was one rule")
	}
	_, bridge, err := net.ParseCIDR(s.subnet + ".0/24")
	require.NoError(t, err)
	require.Contains(t, addressesHere(t), bridge.String())
	require.NoError(t, s.close())
	require.NoFileExists(t, filepath.Join("/run/netns", s.namespace(0)))
	require.NotContains(t, addressesHere(t), bridge.String())
}

// addressesHere returns the networks that this machine has addresses in.
func addressesHere(t *testing.T) (out []string) {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range addresses {
		if prefix, ok := a.(*net.IPNet); ok {
			out = append(out, (&net.IPNet{IP: prefix.IP.Mask(prefix.Mask), Mask: prefix.Mask}).String())
		}
	}
	return out
}

// Claim: only what belongs to drills that are over is taken away.
func TestSweepFindsOrphansOnly(t *testing.T) {
	const mounts = `tmpfs /tmp tmpfs rw 0 0
kvd11 /tmp/a/slot-1 tmpfs rw 0 0
kvd22 /tmp/b/slot-1 tmpfs rw 0 0
kvd11 /tmp/a/slot-2 tmpfs rw 0 0
kvd11 /precious ext4 rw 0 0
kvdx /tmp/c tmpfs rw 0 0
`
	runs := func(pid string) bool { return pid == "22" }
	require.Equal(t, []string{"/tmp/a/slot-2", "/tmp/a/slot-1"}, orphanMounts(mounts, runs))
	dir := t.TempDir()
	for _, name := range []string{"kvd999999999-0", "kvd1-0", "eth0", "kvd999999999", "akvd999999999"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	require.Equal(t, []string{"kvd999999999", "kvd999999999-0"}, orphans(dir))
}
