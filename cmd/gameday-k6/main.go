// Command gameday-k6 runs the k6 scripts of gameday's scenarios: it is k6 with an executor and an output of gameday's. gameday starts it when a
// scenario has a script; nobody else needs to. With other arguments than gameday's it is k6.
package main

import (
	_ "time/tzdata" // an image from scratch has no time zones; the certificates of public authorities k6 links itself

	"gameday/loadgen/k6/program"
	"gameday/programs"
)

// version is set by the build; a build from source says which commit it is.
var version = ""

func main() { program.Main(programs.Version(version)) }
