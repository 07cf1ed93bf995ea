// Command apilist writes the exported names that go.etcd.io/raft v3.6.0 does not have into
// docs/compatibility.md. Run it in compat/.
package main

import (
	"flag"
	"fmt"
	"os"

	"quorate.example/raft/compat/api"
)

func main() {
	page := flag.String("page", "../docs/compatibility.md", "the page with the markers")
	flag.Parse()
	if err := run(*page); err != nil {
		fmt.Fprintln(os.Stderr, "apilist:", err)
		os.Exit(1)
	}
}

func run(page string) error {
	changes, err := api.Compare(".")
	if err != nil {
		return err
	}
	_, err = api.Update(page, api.List(changes), false)
	return err
}
