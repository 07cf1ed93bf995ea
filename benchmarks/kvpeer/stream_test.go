package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// frame returns a call as kv bench sends it.
func frame(number uint64, op, flags byte, key, value string) []byte {
	out := append(binary.AppendUvarint(make([]byte, 4), number), op, flags, 0, 0, 0)
	out = append(binary.AppendUvarint(out, uint64(len(key))), key+value...)
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	return out
}

func TestManyCallsShareAConnectionToAnyMember(t *testing.T) {
	var first []string
	addresses := []string{freeAddress(t), freeAddress(t)}
	for i, address := range addresses {
		first = append(first, fmt.Sprintf("%d=%s", i+1, address))
	}
	for i, address := range addresses {
		_, url := member(t, "-id", fmt.Sprint(i+1), "-data", t.TempDir(), "-listen", address,
			"-bootstrap", strings.Join(first, ","), "-timeout", "30s")
		defer func() { callAll(t, strings.TrimPrefix(url, "http://"), fmt.Sprint("of ", i)) }()
	}
}

// callAll puts and gets some keys over one connection to a member.
func callAll(t *testing.T, address, value string) {
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	io.WriteString(conn, "GET /stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: quorate-kv/1\r\n\r\n")
	from := bufio.NewReader(conn)
	resp, err := http.ReadResponse(from, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	const calls = 20
	for number := uint64(1); number <= calls; number++ {
		conn.Write(frame(number, callPut, 0, fmt.Sprint("key", number), value))
	}
	for range calls {
		_, code, revision, _ := readAnswer(t, from)
		require.EqualValues(t, http.StatusOK, code)
		require.NotZero(t, revision)
	}
	for number := uint64(1); number <= calls; number++ {
		conn.Write(frame(number, callGet, 0, fmt.Sprint("key", number), ""))
	}
	for range calls {
		_, code, revision, body := readAnswer(t, from)
		require.EqualValues(t, http.StatusOK, code)
		require.NotZero(t, revision)
		require.Equal(t, value, body)
	}
	conn.Write(append(frame(1, callGet, flagStale, "none", ""), frame(2, callPut, 0, "", "")...))
	codes := map[uint64]uint64{}
	for range 2 {
		number, code, _, _ := readAnswer(t, from)
		codes[number] = code
	}
	require.Equal(t, map[uint64]uint64{1: http.StatusNotFound, 2: http.StatusBadRequest}, codes)
	conn.Write([]byte{0, 0, 0, 1, 0})
	_, err = from.ReadByte()
	require.Error(t, err)
}

func readAnswer(t *testing.T, from *bufio.Reader) (number, code, revision uint64, body string) {
	var head [4]byte
	_, err := io.ReadFull(from, head[:])
	require.NoError(t, err)
	data := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err = io.ReadFull(from, data)
	require.NoError(t, err)
	for _, to := range []*uint64{&number, &code, &revision} {
		v, n := binary.Uvarint(data)
		require.Positive(t, n)
		*to, data = v, data[n:]
	}
	return number, code, revision, string(data[1:])
}
