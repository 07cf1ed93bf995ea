package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"quorate.example/raft/examples/kv/internal/backup"
	"quorate.example/raft/examples/kv/internal/client"
	"quorate.example/raft/examples/kv/internal/store"
	"quorate.example/raft/examples/kv/internal/tlsconf"
)

var errNoLeader = fmt.Errorf("%w (nobody leads)", client.ErrUnavailable)

func snapshotCommands() []command {
	return []command{
		{
			name: "snapshot save", args: "FILE", short: "save the whole state to a file",
			long: "FILE appears when it is complete, checked and on the disk.", run: runSave,
		},
		{name: "snapshot show", args: "FILE", local: true, short: "check a saved state and say what it is", run: runShow},
		{
			name: "snapshot restore", args: "FILE", local: true, short: "begin a new cluster with a saved state",
			long: "Run it for each first member, with the same FILE, -cluster and -bootstrap, then start the members with\n" +
				"kv serve and the same -cluster. The name must differ from the old cluster's, so that members of the two never\n" +
				"take each other for their own; -force allows the same.",
			flags: func(f *flag.FlagSet, x *call) {
				f.StringVar(&x.o.data, "data", "", "`directory` of the member, without data")
				f.Uint64Var(&x.o.id, "id", 0, "the member's `ID`")
				f.StringVar(&x.o.cluster, "cluster", "", "`name` of the new cluster")
				f.StringVar(&x.o.boot, "bootstrap", "", "its first `members`, as 1=host:port,2=host:port,...")
				f.BoolVar(&x.o.force, "force", false, "allow the name of the cluster that the state comes from")
			},
			run: runRestore,
		},
	}
}

func runSave(ctx context.Context, x *call) error {
	words, err := x.words(1, 1)
	if err != nil {
		return err
	}
	body, err := x.client.Stream(ctx, "/snapshot", nil)
	if err != nil {
		return err
	}
	defer body.Close()
	file, err := os.CreateTemp(filepath.Dir(words[0]), filepath.Base(words[0])+".part-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // it is gone if it was renamed
	summary, err := backup.Read(io.TeeReader(body, file), nil)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), words[0])
	}
	if err != nil {
		return err
	}
	return x.summary(summary)
}

func (x *call) summary(s backup.Summary) error {
	return x.show(s, func() error {
		return x.table("CLUSTER REVISION INDEX TERM RECORDS BYTES SHA256", [][]string{{
			s.Cluster, number(s.Revision), number(s.Index), number(s.Term), number(s.Records),
			strconv.FormatInt(s.Bytes, 10), s.SHA256,
		}})
	})
}

func readFile(name string, put func(key, value []byte) error) (backup.Summary, error) {
	file, err := os.Open(name)
	if err != nil {
		return backup.Summary{}, err
	}
	defer file.Close()
	return backup.Read(file, put)
}

func runShow(_ context.Context, x *call) error {
	words, err := x.words(1, 1)
	if err != nil {
		return err
	}
	summary, err := readFile(words[0], nil)
	if err != nil {
		return err
	}
	return x.summary(summary)
}

func runRestore(_ context.Context, x *call) error {
	words, err := x.words(1, 1)
	if err != nil {
		return err
	}
	if x.o.data == "" || x.o.id == 0 || x.o.cluster == "" || x.o.boot == "" {
		return usage("want all of -data, -id, -cluster and -bootstrap")
	}
	members, err := ParseMembers(x.o.boot)
	if err != nil {
		return usage("-bootstrap: %v", err)
	}
	if members[x.o.id] == "" {
		return usage("-bootstrap: member %d is not in it", x.o.id)
	}
	// Everything is checked before anything is written.
	summary, err := readFile(words[0], nil)
	if err != nil {
		return err
	}
	if summary.Cluster == x.o.cluster && !x.o.force {
		return usage("-cluster: the state comes from a cluster of the same name: choose another one, or say -force")
	}
	options := store.Options{Dir: x.o.data, MemberID: x.o.id, Cluster: x.o.cluster}
	err = store.Restore(options, members, func(put func(key, value []byte) error) error {
		_, err := readFile(words[0], put)
		return err
	})
	if err != nil {
		return err
	}
	return x.summary(summary)
}

// ParseMembers reads a list of members, as 1=host:port,2=host:port,...
func ParseMembers(list string) (map[uint64]string, error) {
	members := map[uint64]string{}
	for item := range strings.SplitSeq(list, ",") {
		id, address, ok := strings.Cut(item, "=")
		n, err := strconv.ParseUint(id, 10, 64)
		if _, _, e := net.SplitHostPort(address); !ok || err != nil || n == 0 || e != nil || members[n] != "" {
			return nil, fmt.Errorf("%q: want ID=HOST:PORT, each ID once", item)
		}
		members[n] = address
	}
	return members, nil
}

func certCommands() []command {
	return []command{{
		name: "cert", args: "DIR", local: true, short: "make certificates for trying out TLS",
		long: "DIR gets an authority (ca.pem, ca-key.pem), member-1.pem to member-N.pem, client.pem and their keys. What is\n" +
			"there already stays, so that it can be run again for more members. Use an authority of your own for more\n" +
			"than trials: certificates need the URI quorate-kv://cluster/NAME/member/ID, or .../client/WHO.",
		flags: func(f *flag.FlagSet, x *call) {
			f.StringVar(&x.o.cluster, "cluster", "kv", "`name` of the cluster")
			f.IntVar(&x.o.members, "members", 3, "`number` of members")
			f.StringVar(&x.o.hosts, "hosts", "localhost,127.0.0.1,::1", "`names` and addresses at which members serve clients")
			f.StringVar(&x.o.who, "client", "client", "`name` of the client")
			f.DurationVar(&x.o.validity, "for", 30*24*time.Hour, "`time` for which the certificates are valid")
		},
		run: runCert,
	}}
}

func runCert(_ context.Context, x *call) error {
	words, err := x.words(1, 1)
	if err != nil {
		return err
	}
	if x.o.members < 1 || x.o.members > 1000 || x.o.who == "" || strings.ContainsAny(x.o.who, `/\`) {
		return usage("want 1 to 1000 members, and a client's name without slashes")
	}
	authority, err := tlsconf.NewAuthority(words[0], x.o.validity)
	if err != nil {
		return err
	}
	var made []tlsconf.Files
	for id := 1; id <= x.o.members; id++ {
		files, err := authority.Member(x.o.cluster, uint64(id), strings.Split(x.o.hosts, ","))
		if err != nil {
			return err
		}
		made = append(made, files)
	}
	files, err := authority.Client(x.o.cluster, x.o.who)
	if err != nil {
		return err
	}
	made = append(made, files)
	return x.show(made, func() error {
		var rows [][]string
		for _, f := range made {
			rows = append(rows, []string{f.CA, f.Cert, f.Key})
		}
		return x.table("AUTHORITY CERTIFICATE KEY", rows)
	})
}
