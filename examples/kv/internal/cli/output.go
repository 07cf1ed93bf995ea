package cli

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"quorate.example/raft/examples/kv/internal/api"
)

// show writes v as one line of JSON, or else calls asText.
func (x *call) show(v any, asText func() error) error {
	if x.format != "json" {
		return asText()
	}
	encoder := json.NewEncoder(x.Out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// table writes rows under a header.
func (x *call) table(header string, rows [][]string) error {
	w := tabwriter.NewWriter(x.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.ReplaceAll(header, " ", "\t"))
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// line writes one line of text, where JSON is not asked for.
func (x *call) line(v any, format string, args ...any) error {
	return x.show(v, func() error {
		_, err := fmt.Fprintf(x.Out, format+"\n", args...)
		return err
	})
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

// printable returns a value for a cell of a table: what would break the table is quoted.
func printable(item api.Item) string {
	value, err := item.Bytes()
	if err != nil {
		return "?"
	}
	text := string(value)
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		text = strconv.Quote(text)
	}
	const widest = 80
	if runes := []rune(text); len(runes) > widest {
		text = string(runes[:widest]) + "..."
	}
	return text
}
