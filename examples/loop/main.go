// Command loop shows the loop round package raft written by hand, for those who want their own instead of
// package host: with a RawNode that one goroutine owns (rawnode.go), and with a Node (node.go). Three members
// in one process exchange messages over channels, and a client waits until what it proposed is applied.
//
//	go run ./examples/loop            # RawNode
//	go run ./examples/loop -node      # Node
//
// The log is in memory, so a member must not be restarted. What package host does beyond this: writes to disk
// that overlap with sending, shared reads, snapshots, limits, and an answer for every proposal.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	pb "quorate.example/raft/raftpb"
)

// looper is one member, whichever loop it has.
type looper interface {
	// run returns when ctx ends.
	run(ctx context.Context)
	// propose returns when data is applied here, or when ctx ends. Then it may be applied or not.
	propose(ctx context.Context, data string) error
	receive(m pb.Message)
	applied() []string
}

func main() {
	useNode := flag.Bool("node", false, "use raft.Node instead of raft.RawNode")
	flag.Parse()
	if err := demo(*useNode, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// demo proposes a few lines at different members, and prints what each of them has applied.
func demo(useNode bool, out *os.File) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	members, stop := startGroup(ctx, useNode)
	defer stop()
	for i := 1; i <= 5; i++ {
		if err := members[i%3].propose(ctx, fmt.Sprint("line ", i)); err != nil {
			return err
		}
	}
	for i, m := range members {
		fmt.Fprintf(out, "member %d: %q\n", i+1, m.applied())
	}
	return nil
}
