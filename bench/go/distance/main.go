// A registry far away: a proxy that delays each direction by half a round trip.
//
//	distance -to 127.0.0.1:PORT -rtt 50ms [-bandwidth BYTES_PER_SECOND]
//
// A TCP handshake across it costs a round trip too. With a bandwidth all connections share one link
// in each direction. There is no loss and no slow start: what is on its way on one connection is
// only bound by a window.
package main

import (
	"errors"
	"flag"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"bench/control"
)

const (
	chunkSize = 128 << 10
	window    = 64 << 20 // bytes on their way on one connection
	// a link that is shared passes smaller pieces on, so that the connections take turns
	sharedChunk = 16 << 10
)

// link is one direction for all connections; bytes take their place on it in turn.
type link struct {
	lock  sync.Mutex
	free  time.Time
	delay time.Duration
	rate  int64 // bytes per second; 0 is no limit
}

// due tells when what is sent now has arrived.
func (l *link) due(count int) time.Time {
	now := time.Now()
	if l.rate == 0 {
		return now.Add(l.delay)
	}
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(int64(count) * int64(time.Second) / l.rate))
	return l.free.Add(l.delay)
}

type proxy struct {
	to         string
	roundTrip  time.Duration
	up, down   *link
	chunk      int
	onTheirWay int // chunks of one connection in one direction
	buffers    sync.Pool

	lock          sync.Mutex
	first, last   time.Time
	connections   int64
	sent, brought atomic.Int64
}

type piece struct {
	data []byte
	due  time.Time
}

func (p *proxy) accept(listener net.Listener) {
	for {
		near, err := listener.Accept()
		if err != nil {
			control.Fail(err)
		}
		accepted := time.Now()
		p.lock.Lock()
		if p.connections == 0 {
			p.first = accepted
		}
		p.connections++
		p.lock.Unlock()
		go p.connect(near.(*net.TCPConn), accepted)
	}
}

func (p *proxy) connect(near *net.TCPConn, accepted time.Time) {
	defer near.Close()
	other, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	far := other.(*net.TCPConn)
	defer far.Close()
	sleepUntil(accepted.Add(p.roundTrip))
	var gone atomic.Bool
	done := make(chan struct{})
	go func() {
		p.pass(far, near, p.down, func(count int) {
			// what a server says to a client that has hung up is no answer
			if !gone.Load() {
				p.delivered(count)
			}
		}, func() {})
		close(done)
	}()
	p.pass(near, far, p.up, func(count int) { p.sent.Add(int64(count)) }, func() { gone.Store(true) })
	<-done
}

// pass brings bytes from source to target in their order; ended is called when the source says no
// more.
func (p *proxy) pass(source, target *net.TCPConn, link *link, passed func(int), ended func()) {
	pieces := make(chan piece, p.onTheirWay)
	go func() {
		defer close(pieces)
		for {
			buffer := p.buffers.Get().([]byte)
			count, err := source.Read(buffer)
			if count > 0 {
				pieces <- piece{buffer[:count], link.due(count)}
			}
			if err != nil {
				ended()
				pieces <- piece{nil, link.due(0)}
				return
			}
		}
	}()
	for piece := range pieces {
		sleepUntil(piece.due)
		if piece.data == nil {
			target.CloseWrite()
			break
		}
		// first: a client may hang up before this goroutine runs again
		passed(len(piece.data))
		_, err := target.Write(piece.data)
		p.buffers.Put(piece.data[:p.chunk])
		if err != nil {
			source.CloseRead()
			break
		}
	}
	for range pieces {
	}
}

func (p *proxy) delivered(count int) {
	p.brought.Add(int64(count))
	p.lock.Lock()
	defer p.lock.Unlock()
	p.last = time.Now()
}

// Counts has `seconds` from the first connection to the last answer, and the same in round trips.
func (p *proxy) Counts() map[string]any {
	p.lock.Lock()
	defer p.lock.Unlock()
	seconds := p.last.Sub(p.first).Seconds()
	counts := map[string]any{
		"connections": p.connections, "seconds": seconds,
		"up": p.sent.Load(), "down": p.brought.Load(),
	}
	if p.roundTrip > 0 {
		counts["round_trips"] = seconds / p.roundTrip.Seconds()
	}
	return counts
}

func (p *proxy) Reset() {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.connections = 0
	p.first, p.last = time.Time{}, time.Time{}
	p.sent.Store(0)
	p.brought.Store(0)
}

func main() {
	to := flag.String("to", "", "host:port that is far away")
	roundTrip := flag.Duration("rtt", 0, "round trip")
	bandwidth := flag.Int64("bandwidth", 0, "bytes per second in each direction, 0 for no limit")
	flag.Parse()
	if *to == "" {
		control.Fail(errors.New("-to is needed"))
	}
	far := &proxy{to: *to, roundTrip: *roundTrip, chunk: chunkSize, onTheirWay: window / chunkSize}
	if *bandwidth > 0 {
		far.chunk = sharedChunk
		// what two round trips can hold, as a window that has opened
		far.onTheirWay = 4 + int(2*float64(*bandwidth)*roundTrip.Seconds())/sharedChunk
	}
	far.buffers.New = func() any { return make([]byte, far.chunk) }
	far.up = &link{delay: *roundTrip / 2, rate: *bandwidth}
	far.down = &link{delay: *roundTrip / 2, rate: *bandwidth}
	// a goroutine that sleeps its last millisecond holds its place
	runtime.GOMAXPROCS(64)
	listener := control.Listen()
	go far.accept(listener)
	control.Serve(map[string]net.Listener{"proxy": listener}, far)
}
