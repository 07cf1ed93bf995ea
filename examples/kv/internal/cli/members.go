package cli

import (
	"context"
	"net/http"
	"strconv"
	"sync"

	"quorate.example/raft/examples/kv/internal/member"
)

func memberCommands() []command {
	return []command{
		{name: "member list", short: "list the members", run: runMembers},
		{name: "member add", args: "ID HOST:PORT", short: "add a member, which has no vote yet", run: runAdd},
		{name: "member promote", args: "ID", short: "give a member its vote", run: runPromote},
		{name: "member remove", args: "ID", short: "remove a member", run: runRemove},
		{name: "leader show", short: "print who leads", run: runLeader},
		{name: "leader transfer", args: "ID", short: "make another member lead", run: runTransfer},
		{
			name: "status", short: "print where each of the -endpoints stands",
			long: "Members that do not answer are listed with the reason; the exit code is 5 if none does.",
			run:  runStatus,
		},
	}
}

type memberList struct {
	Members []member.Info `json:"members"`
}

func (x *call) members(ctx context.Context) (out memberList, err error) {
	return out, x.ask(ctx, http.MethodGet, "/members", nil, nil, &out, true)
}

func runMembers(ctx context.Context, x *call) error {
	if _, err := x.words(0, 0); err != nil {
		return err
	}
	list, err := x.members(ctx)
	if err != nil {
		return err
	}
	return x.show(list, func() error { return x.tableOfMembers(list.Members) })
}

func (x *call) tableOfMembers(members []member.Info) error {
	var rows [][]string
	for _, m := range members {
		leads := ""
		if m.Leader {
			leads = "leader"
		}
		rows = append(rows, []string{number(m.ID), m.Address, m.Role, leads})
	}
	return x.table("MEMBER ADDRESS ROLE LEADER", rows)
}

func memberID(text string) (uint64, error) {
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil || id == 0 {
		return 0, usage("ID: %q is no member's ID", text)
	}
	return id, nil
}

func (x *call) memberID() (uint64, error) {
	words, err := x.words(1, 1)
	if err != nil {
		return 0, err
	}
	return memberID(words[0])
}

func runAdd(ctx context.Context, x *call) error {
	words, err := x.words(2, 2)
	if err != nil {
		return err
	}
	id, err := memberID(words[0])
	if err != nil {
		return err
	}
	var out member.Info
	body := map[string]any{"id": id, "address": words[1]}
	if err := x.ask(ctx, http.MethodPost, "/members", nil, body, &out, false); err != nil {
		return err
	}
	return x.line(out, "member %d added as %s", out.ID, out.Role)
}

func runPromote(ctx context.Context, x *call) error {
	id, err := x.memberID()
	if err != nil {
		return err
	}
	var out map[string]any
	if err := x.ask(ctx, http.MethodPost, "/members/"+number(id)+"/promote", nil, nil, &out, false); err != nil {
		return err
	}
	return x.line(out, "member %d is a voter", id)
}

func runRemove(ctx context.Context, x *call) error {
	id, err := x.memberID()
	if err != nil {
		return err
	}
	var out map[string]any
	if err := x.ask(ctx, http.MethodDelete, "/members/"+number(id), nil, nil, &out, false); err != nil {
		return err
	}
	return x.line(out, "member %d removed", id)
}

func runLeader(ctx context.Context, x *call) error {
	if _, err := x.words(0, 0); err != nil {
		return err
	}
	list, err := x.members(ctx)
	if err != nil {
		return err
	}
	for _, m := range list.Members {
		if m.Leader {
			return x.line(m, "member %d at %s", m.ID, m.Address)
		}
	}
	return errNoLeader
}

func runTransfer(ctx context.Context, x *call) error {
	id, err := x.memberID()
	if err != nil {
		return err
	}
	var out map[string]any
	body := map[string]uint64{"id": id}
	if err := x.ask(ctx, http.MethodPost, "/leader", nil, body, &out, true); err != nil {
		return err
	}
	return x.line(out, "member %d leads", id)
}

// standing is what one endpoint answers.
type standing struct {
	Endpoint string         `json:"endpoint"`
	Status   *member.Status `json:"status,omitempty"`
	Error    string         `json:"error,omitempty"`
}

func runStatus(ctx context.Context, x *call) error {
	if _, err := x.words(0, 0); err != nil {
		return err
	}
	out := make([]standing, len(x.client.Endpoints()))
	var failed error
	var running sync.WaitGroup
	var mu sync.Mutex
	answered := 0
	for i, endpoint := range x.client.Endpoints() {
		running.Go(func() {
			one := *x
			one.client = x.client.At(endpoint)
			status := new(member.Status)
			err := one.ask(ctx, http.MethodGet, "/status", nil, nil, status, true)
			mu.Lock()
			defer mu.Unlock()
			if out[i] = (standing{Endpoint: endpoint, Status: status}); err != nil {
				out[i], failed = standing{Endpoint: endpoint, Error: err.Error()}, err
				return
			}
			answered++
		})
	}
	running.Wait()
	if err := x.show(out, func() error { return x.tableOfStandings(out) }); err != nil {
		return err
	}
	if answered > 0 {
		return nil
	}
	return failed
}

func (x *call) tableOfStandings(all []standing) error {
	var rows [][]string
	for _, s := range all {
		if s.Status == nil {
			rows = append(rows, []string{s.Endpoint, "-", s.Error})
			continue
		}
		st := s.Status
		rows = append(rows, []string{
			s.Endpoint, number(st.ID), st.State, number(st.Leader), number(st.Term), number(st.Commit),
			number(st.Applied), number(st.Revision), strconv.Itoa(st.LogBytes),
		})
	}
	return x.table("ENDPOINT MEMBER STATE LEADER TERM COMMIT APPLIED REVISION LOG-BYTES", rows)
}
