// Package control is how the bench speaks with its servers: it learns their ports from one line of
// JSON, asks for counts and has them start anew over HTTP, and ends them by closing their stdin.
package control

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"
)

// Counted is what a server counts since it was last reset.
type Counted interface {
	Counts() map[string]any
	Reset()
}

// Listen takes a free loopback port.
func Listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		Fail(err)
	}
	return listener
}

// Fail ends the process with an error.
func Fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// Serve announces the listeners' ports by name, and answers until stdin ends. GET / gives the
// counts with the CPU seconds of the server itself, DELETE / resets them.
func Serve(listeners map[string]net.Listener, counted Counted) {
	own := Listen()
	spent := CPU()
	go http.Serve(own, http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		if request.Method == http.MethodDelete {
			spent = CPU()
			counted.Reset()
			return
		}
		counts := counted.Counts()
		counts["cpu"] = CPU() - spent
		json.NewEncoder(answer).Encode(counts)
	}))
	ports := map[string]int{"control": port(own)}
	for name, listener := range listeners {
		ports[name] = port(listener)
	}
	json.NewEncoder(os.Stdout).Encode(ports)
	io.Copy(io.Discard, os.Stdin)
}

func port(listener net.Listener) int {
	return listener.Addr().(*net.TCPAddr).Port
}

// CPU is what this process has used so far, in seconds, user and system.
func CPU() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}
