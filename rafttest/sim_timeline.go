package rafttest

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
)

//go:embed timeline.html
var timelinePage string

var timelineTemplate = template.Must(template.New("timeline").Parse(timelinePage))

// WriteTimeline writes the run as a single HTML page that needs nothing else:
// members as lanes, messages as arrows between them, roles as colours. The run
// must have been made with Simulation.Trace.
func (r *Result) WriteTimeline(out io.Writer) error {
	if r.Trace == nil {
		return errors.New("rafttest: the run has no trace: set Simulation.Trace")
	}
	data, err := json.Marshal(r.Trace)
	if err != nil {
		return err
	}
	title := fmt.Sprintf("seed %d, profile %s", r.Seed, r.Profile)
	verdict := "no violation"
	if r.Violation != nil {
		verdict = r.Violation.Error()
	}
	// json.Marshal escapes <, > and &, so the text cannot end the script.
	return timelineTemplate.Execute(out, struct {
		Title, Verdict string
		Events         int
		Data           template.JS
	}{title, verdict, len(r.Trace.Events), template.JS(data)})
}
