#!/bin/sh
# Writes raft.pb.go from raft.proto. Needs Go and protoc (Debian: protobuf-compiler); the plugin
# and gogo.proto are of the version of github.com/gogo/protobuf that go.mod names.
set -eu

cd "$(dirname "$0")/.."
gogo=$(go list -m -f '{{.Dir}}' github.com/gogo/protobuf)
if [ -z "$gogo" ]; then
	go mod download github.com/gogo/protobuf
	gogo=$(go list -m -f '{{.Dir}}' github.com/gogo/protobuf)
fi

bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
go build -o "$bin/protoc-gen-gogofaster" github.com/gogo/protobuf/protoc-gen-gogofaster

# The module root is the include path, so that the descriptor names raftpb/raft.proto.
protoc --plugin="$bin/protoc-gen-gogofaster" \
	-I . -I "$gogo" -I "$gogo/protobuf" \
	--gogofaster_out=paths=source_relative:. \
	raftpb/raft.proto

# decode.go has Message's Unmarshal, which leaves to the generated one what is rare; varint.go has two
# helpers. Lists are measured in place.
sed -i \
	-e 's/^func (m \*Message) Unmarshal(/func (m *Message) unmarshalGenerated(/' \
	-e '/^func encodeVarintRaft(/,/^}/d' \
	-e '/^func sovRaft(/,/^}/d' \
	-e '/^func sozRaft(/,/^}/d' \
	-e '/^	math_bits "math\/bits"$/d' \
	-e '/^		for _, e := range m\.[A-Z][A-Za-z]* {$/{
		N
		s/for _, e := range \(m\.[A-Za-z]*\) {\n\(.*\) e\.Size()/for i := range \1 {\n\2 \1[i].Size()/
	}' \
	raftpb/raft.pb.go
