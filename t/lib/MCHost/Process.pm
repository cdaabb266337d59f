package MCHost::Process;

# Child processes of a test: started in a process group of their own, ended
# with the test however it ends.

use strict;
use warnings;
use POSIX ();
use Time::HiRes qw(sleep time);

my %live;               # pid => object

# The kernel ends a child whose test was killed: prctl(PR_SET_PDEATHSIG, sig).
my %prctl = (x86_64 => 157, aarch64 => 167);
my $prctl = $prctl{ (POSIX::uname())[4] };

# name, cmd => [...], log => file for stdout and stderr, out => file for
# stdout alone, user, env => {}, dir, death_signal, pdeath => 0 to outlive.
sub spawn {
    my ($class, %o) = @_;

    my $pid = fork // die "fork: $!";

    if ($pid == 0) {
        eval { _exec(%o) };
        print STDERR $@;
        POSIX::_exit(127);
    }

    my $self = bless { pid => $pid, owner => $$, name => $o{name} // $o{cmd}[0] }, $class;
    $live{$pid} = $self;
    return $self;
}

sub _exec {
    my (%o) = @_;

    $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE CHLD);
    POSIX::setpgid(0, 0);

    open STDIN, '<', '/dev/null' or die "/dev/null: $!";
    my $log = $o{log} // '/dev/null';
    open STDERR, '>>', $log or die "$log: $!";
    my $out = $o{out} // $log;
    open STDOUT, '>>', $out or die "$out: $!";

    become($o{user}) if $o{user};
    chdir $o{dir} if $o{dir};
    $ENV{$_} = $o{env}{$_} for keys %{ $o{env} // {} };
    syscall($prctl, 1, $o{death_signal} // POSIX::SIGTERM(), 0, 0, 0) if $prctl && ($o{pdeath} // 1);

    exec { $o{cmd}[0] } @{ $o{cmd} } or die "exec $o{cmd}[0]: $!\n";
}

# Changes to another user for good; only root can.
sub become {
    my ($user) = @_;

    return if $> != 0;

    my ($uid, $gid) = (getpwnam $user)[2, 3];
    defined $uid or die "no user $user\n";
    $) = "$gid $gid";
    POSIX::setgid($gid) or die "setgid: $!";
    POSIX::setuid($uid) or die "setuid: $!";
}

# A function of the test in a process of its own.
sub forked {
    my ($class, $name, $code) = @_;

    my $pid = fork // die "fork: $!";

    if ($pid == 0) {
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP CHLD);
        syscall($prctl, 1, POSIX::SIGKILL(), 0, 0, 0) if $prctl;
        eval { $code->(); 1 } or print STDERR "$name: $@";
        POSIX::_exit($@ ? 1 : 0);
    }

    my $self = bless { pid => $pid, owner => $$, name => $name, single => 1 }, $class;
    $live{$pid} = $self;
    return $self;
}

sub pid { $_[0]{pid} }

sub alive {
    my ($self) = @_;

    return 0 if defined $self->{status};
    return 1 if waitpid($self->{pid}, POSIX::WNOHANG()) == 0;

    $self->{status} = $?;
    delete $live{ $self->{pid} };
    return 0;
}

# The exit status as $? has it, or undef when it still runs after timeout.
sub wait {
    my ($self, $timeout) = @_;

    my $end = time + ($timeout // 10);

    while ($self->alive) {
        return undef if time > $end;
        sleep 0.005;
    }

    return $self->{status};
}

sub signal {
    my ($self, $sig) = @_;

    return $self->alive ? kill($sig, $self->{pid}) : 0;
}

# Asks with a signal and insists with KILL; returns whether asking sufficed.
sub stop {
    my ($self, $sig, $timeout) = @_;

    return 1 unless $self->alive;

    kill $sig // 'TERM', $self->{pid};
    my $ok = defined $self->wait($timeout // 10);
    kill 'KILL', $self->{single} ? $self->{pid} : -$self->{pid} unless $ok;
    $self->wait(5) unless $ok;
    return $ok;
}

sub kill9 {
    my ($self) = @_;

    return unless $self->alive;
    kill 'KILL', $self->{pid};
    $self->wait(10);
}

# For the end of a test that died: no questions asked.
sub kill_all {
    for my $p (values %live) {
        next if $p->{owner} != $$;
        kill 'QUIT', $p->{pid} if $p->{quit};
        kill 'KILL', $p->{single} ? $p->{pid} : -$p->{pid};
        $p->wait(5);
    }
}

1;
