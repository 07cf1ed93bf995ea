module quorate.example/raft/compat/v37

go 1.26

replace quorate.example/raft => ../../

replace quorate.example/raft/compat => ../

require (
	github.com/stretchr/testify v1.12.1
	go.etcd.io/raft/v3 v3.7.0
	quorate.example/raft v0.0.0
	quorate.example/raft/compat v0.0.0-00010101000000-000000000000
)

require (
	github.com/gogo/protobuf v1.3.2 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	google.golang.org/protobuf v1.36.11
)
