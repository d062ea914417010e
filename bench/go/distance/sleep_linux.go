package main

import (
	"syscall"
	"time"
)

// the runtime's own timers are up to a millisecond late, which counts in each direction
const runtimeIsLate = 1200 * time.Microsecond

func sleepUntil(due time.Time) {
	time.Sleep(time.Until(due) - runtimeIsLate)
	if left := time.Until(due); left > 0 {
		rest := syscall.NsecToTimespec(int64(left))
		syscall.Nanosleep(&rest, nil)
	}
}
