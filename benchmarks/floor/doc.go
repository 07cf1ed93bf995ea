// Package floor is what a benchmark compares with to see how far down it can go: it looks like a Raft
// library from outside and replicates entries, but it is not safe. The first member that is told to
// campaign leads for ever, nothing is checked, nothing may be lost on the way, nobody may fail.
package floor
