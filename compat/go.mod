module quorate.example/raft/compat

go 1.25.0

require (
	github.com/stretchr/testify v1.12.1
	go.etcd.io/raft/v3 v3.6.0
	golang.org/x/exp v0.0.0-20251219203646-944ab1f22d93
	golang.org/x/tools v0.40.0
	quorate.example/raft v0.0.0
)

require (
	github.com/gogo/protobuf v1.3.2 // indirect
	github.com/golang/protobuf v1.5.4 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/mod v0.31.0 // indirect
	golang.org/x/sync v0.19.0 // indirect
	google.golang.org/protobuf v1.33.0 // indirect
)

replace quorate.example/raft => ../
