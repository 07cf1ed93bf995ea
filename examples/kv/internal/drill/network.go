package drill

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"quorate.example/raft/examples/kv/internal/local"
)

// network is where the members live.
type network interface {
	// describe says in a line what it is.
	describe() string
	// wrap is what the command line of a process of member i begins with.
	wrap(i int) []string
	// peer, http, control and proxy are the addresses at which member i is reached by the others,
	// by clients, and by the drill that steers its proxies, and where it reaches member j.
	peer(i int) string
	http(i int) string
	control(i int) string
	proxy(i, j int) string
	// cutter returns what loses packets here, nil if only the proxies can do it.
	cutter() cutter
	close() error
}

// cutter loses what one member sends to another.
type cutter interface {
	cut(from, to int) error
	mend(from, to int) error
}

// loopback is the network for everybody: all members share the addresses of this machine.
type loopback struct {
	why       string
	n         int
	addresses []string
}

func newLoopback(n int, why string) (*loopback, error) {
	addresses, err := local.FreeAddresses(n * (3 + n))
	return &loopback{why: why, n: n, addresses: addresses}, err
}

func (l *loopback) describe() string {
	return "members share the loopback interface, since " + l.why + "; proxies cut connections"
}
func (l *loopback) wrap(int) []string     { return nil }
func (l *loopback) peer(i int) string     { return l.addresses[3*i] }
func (l *loopback) http(i int) string     { return l.addresses[3*i+1] }
func (l *loopback) control(i int) string  { return l.addresses[3*i+2] }
func (l *loopback) proxy(i, j int) string { return l.addresses[l.n*(3+i)+j] }
func (l *loopback) cutter() cutter        { return nil }
func (l *loopback) close() error          { return nil }

// namespaces gives each member a network stack of its own; a bridge joins them with each other and
// with the drill.
type namespaces struct {
	name     string // of the bridge, and what the names of the namespaces begin with
	subnet   string // the first three numbers of all addresses
	n        int
	made     []int
	bridged  bool
	iptables bool
}

const (
	portPeer    = "9001"
	portHTTP    = "8001"
	portControl = "7001"
	portProxy   = 7100
)

// newNamespaces makes n namespaces. If that fails, nothing of them is left.
func newNamespaces(n int) (*namespaces, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return nil, errors.New("there is no ip command: apt-get install iproute2")
	}
	s := &namespaces{name: mine(), n: n}
	if err := s.pickSubnet(os.Getpid()); err != nil {
		return nil, err
	}
	if err := s.build(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.iptables = run("ip", "netns", "exec", s.namespace(0), "iptables", "-w", "-n", "-L", "INPUT") == nil
	return s, nil
}

// pickSubnet takes addresses that this machine does not use yet.
func (s *namespaces) pickSubnet(pid int) error {
	for i := range 250 {
		s.subnet = fmt.Sprintf("10.213.%d", (pid+i)%250)
		_, free, err := net.ParseCIDR(s.subnet + ".0/24")
		if err != nil {
			return err
		}
		used, err := net.InterfaceAddrs()
		if err != nil {
			return err
		}
		taken := false
		for _, a := range used {
			prefix, ok := a.(*net.IPNet)
			taken = taken || ok && (free.Contains(prefix.IP) || prefix.Contains(free.IP))
		}
		if !taken {
			return nil
		}
	}
	return errors.New("all subnets of 10.213.0.0/16 are in use")
}

func (s *namespaces) build() error {
	if err := run("ip", "link", "add", s.name, "type", "bridge"); err != nil {
		return err
	}
	s.bridged = true
	if err := run("ip", "address", "add", s.subnet+".254/24", "dev", s.name); err != nil {
		return err
	}
	if err := run("ip", "link", "set", s.name, "up"); err != nil {
		return err
	}
	for i := range s.n {
		if err := s.join(i); err != nil {
			return err
		}
	}
	return nil
}

// join makes the namespace of a member and plugs it into the bridge.
func (s *namespaces) join(i int) error {
	ns := s.namespace(i)
	if err := run("ip", "netns", "add", ns); err != nil {
		return err
	}
	s.made = append(s.made, i)
	outside := fmt.Sprintf("%s-%d", s.name, i)
	for _, line := range []string{
		"link add " + outside + " type veth peer name eth0 netns " + ns,
		"link set " + outside + " master " + s.name,
		"link set " + outside + " up",
		"-n " + ns + " address add " + s.ip(i) + "/24 dev eth0",
		"-n " + ns + " link set eth0 up",
		"-n " + ns + " link set lo up",
	} {
		if err := run("ip", strings.Fields(line)...); err != nil {
			return err
		}
	}
	return nil
}

func (s *namespaces) describe() string {
	text := fmt.Sprintf("each member has a network namespace of its own, %s-0 to -%d, on %s.0/24", s.name, s.n-1, s.subnet)
	if !s.iptables {
		text += "; there is no iptables, so proxies cut connections"
	}
	return text
}

func (s *namespaces) namespace(i int) string { return fmt.Sprintf("%s-%d", s.name, i) }
func (s *namespaces) ip(i int) string        { return fmt.Sprintf("%s.%d", s.subnet, i+1) }
func (s *namespaces) wrap(i int) []string    { return []string{"ip", "netns", "exec", s.namespace(i)} }
func (s *namespaces) peer(i int) string      { return net.JoinHostPort(s.ip(i), portPeer) }
func (s *namespaces) http(i int) string      { return net.JoinHostPort(s.ip(i), portHTTP) }
func (s *namespaces) control(i int) string   { return net.JoinHostPort(s.ip(i), portControl) }

func (s *namespaces) proxy(_, j int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(portProxy+j))
}

func (s *namespaces) cutter() cutter {
	if s.iptables {
		return s
	}
	return nil
}

// cut implements cutter: the receiver drops the packets.
func (s *namespaces) cut(from, to int) error { return s.rule("-I", from, to) }

func (s *namespaces) mend(from, to int) error { return s.rule("-D", from, to) }

func (s *namespaces) rule(action string, from, to int) error {
	return run("ip", "netns", "exec", s.namespace(to),
		"iptables", "-w", action, "INPUT", "-s", s.ip(from), "-j", "DROP")
}

func (s *namespaces) close() error {
	var failures []error
	for _, i := range s.made {
		failures = append(failures, run("ip", "netns", "delete", s.namespace(i)))
	}
	s.made = nil
	if s.bridged {
		failures = append(failures, run("ip", "link", "delete", s.name))
		s.bridged = false
	}
	return errors.Join(failures...)
}

// run runs a command, whose output is part of the error if it fails.
func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
