package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// A process is a program that was started here, in a process group of its own.
type process struct {
	cmd    *exec.Cmd
	ended  chan struct{} // closed when it has ended
	status error         // of its end
}

// startProcess starts a program whose output goes to out.
func startProcess(out io.Writer, env []string, name string, args ...string) (*process, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	return begin(cmd)
}

func begin(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	undertaker.note("+", cmd.Process.Pid)
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		p.status = cmd.Wait()
		undertaker.note("-", cmd.Process.Pid)
		close(p.ended)
	}()
	return p, nil
}

// The undertaker is a shell that outlives the test binary, should that be interrupted or run into its timeout, and then
// kills the process groups that are left. It learns of the end by the end of its input.
var undertaker notes

type notes struct {
	mu sync.Mutex
	w  io.Writer
}

const undertakerScript = `
declare -A alive
while read -r op pid; do
	if [ "$op" = + ]; then alive[$pid]=1; else unset "alive[$pid]"; fi
done
for pid in "${!alive[@]}"; do kill -9 -- "-$pid"; done`

func startUndertaker() error {
	cmd := exec.Command("bash", "-c", undertakerScript)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the terminal isn't for it
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	undertaker.w = in
	return cmd.Start()
}

func (n *notes) note(op string, pid int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fmt.Fprintln(n.w, op, pid)
}

func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// kill ends the whole process group at once and waits for it. A nil process is fine.
func (p *process) kill() {
	if p == nil {
		return
	}
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.ended
}

// running reports whether the process is alive.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// A logBuffer keeps what a process writes.
type logBuffer struct {
	mu sync.Mutex
	b  []byte
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, b...)
	return len(b), nil
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.b)
}
