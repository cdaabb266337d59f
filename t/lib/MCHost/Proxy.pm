package MCHost::Proxy;

# A proxy that misbehaves on demand. It runs in a process of its own and
# takes orders over a socket pair; every order is answered when it is done.
#
#   my $p = MCHost::Proxy->new(listen => '/path/or/port', to => '/path/or/port');
#   $p->mode('pass');               forward
#   $p->mode('hang');               accept, forward nothing in either direction
#   $p->mode('delay', 200);         hold every chunk for so many milliseconds
#   $p->mode('bytes');              forward one byte at a time
#   $p->mode('cut', 1000);          close after so many bytes from the server
#   $p->mode('reset', 1000);        the same with RST
#   $p->mode('refuse');             listen no more
#   $p->drop;                       close what is open
#   $p->watch(k => 3, pid => PID, when => 'before' | 'after', all => 0);
#                                   HTTP: kill -9 PID at the k-th request that
#                                   is not GET or HEAD (all => 1: that is any):
#                                   as it comes in, or when it was answered
#   $p->fired                       "POST /x" that did it, or undef
#   $p->writes                      how many such requests there were

use strict;
use warnings;
use Fcntl qw(F_SETFD);
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Socket qw(SOL_SOCKET SO_LINGER AF_UNIX SOCK_STREAM PF_UNSPEC IPPROTO_TCP TCP_NODELAY);
use Time::HiRes ();

sub new {
    my ($class, %o) = @_;

    require MCHost::Process;
    socketpair my $mine, my $its, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: $!";
    $_->autoflush(1) for $mine, $its;
    fcntl $its, F_SETFD, 0;
    my $proc = MCHost::Process->spawn(name => 'proxy', log => $o{log} // '/dev/null', death_signal => 9,
        cmd => [ $^X, __FILE__, fileno $its, $o{listen}, $o{to} ]);
    close $its;
    my $self = bless { ctl => $mine, proc => $proc, listen => $o{listen} }, $class;
    $self->_order('hello');
    return $self;
}

sub _order {
    my ($self, @words) = @_;

    print { $self->{ctl} } join("\t", @words), "\n";
    my $line = readline $self->{ctl};
    defined $line or die "the proxy is gone\n";
    chomp $line;
    return $line;
}

sub mode   { my ($self, @m) = @_; $self->_order('mode', @m) }
sub drop   { my ($self) = @_; $self->_order('drop') }
sub watch  { my ($self, %o) = @_; $self->_order('watch', $o{k} // 1, $o{pid}, $o{when} // 'after', $o{all} // 0) }
sub fired  { my ($self) = @_; my $f = $self->_order('fired'); return length $f ? $f : undef }
sub writes { my ($self) = @_; return $self->_order('writes') }
sub conns  { my ($self) = @_; return $self->_order('conns') }
sub stop   { my ($self) = @_; $self->{proc}->stop('TERM', 2); unlink $self->{listen} if $self->{listen} =~ m{^/} }


package MCHost::Proxy::Server;

sub _listen {
    my ($self) = @_;

    my $at = $self->{listen};
    unlink $at if $at =~ m{^/};
    $self->{lsn} = $at =~ m{^/}
        ? IO::Socket::UNIX->new(Local => $at, Listen => 128)
        : IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $at, Listen => 128, ReuseAddr => 1);
    $self->{lsn} or die "listen $at: $!";
    chmod 0777, $at if $at =~ m{^/};
}

sub _dial {
    my ($self) = @_;

    my $to = $self->{to};
    return $to =~ m{^/} ? IO::Socket::UNIX->new(Peer => $to) : IO::Socket::INET->new(PeerAddr => "127.0.0.1:$to");
}

# One connection is two ends; each has bytes to write to it and the time
# from which they may go.
sub run {
    my ($self, $ctl) = @_;

    $SIG{PIPE} = 'IGNORE';

    while (1) {
        my (@r, @w);
        my $now = Time::HiRes::time();
        push @r, $ctl;
        push @r, $self->{lsn} if $self->{lsn};
        my $wait = 1;

        for my $c (values %{ $self->{conns} }) {
            next if $self->{mode} eq 'hang';

            for my $i (0, 1) {
                push @r, $c->{s}[$i] if !$c->{eof}[$i] && length($c->{out}[ 1 - $i ]) < 1 << 20;
                next unless length $c->{out}[$i];
                my $due = $c->{due}[$i] // 0;
                if ($due <= $now) { push @w, $c->{s}[$i] }
                elsif ($due - $now < $wait) { $wait = $due - $now }
            }
        }

        my ($rr, $ww) = IO::Select->select(IO::Select->new(@r), IO::Select->new(@w), undef, $wait);

        for my $s (@{ $rr // [] }) {
            if ($s == $ctl) { $self->_order($ctl) or return }
            elsif ($self->{lsn} && $s == $self->{lsn}) { $self->_accept }
            else { $self->_read($s) }
        }

        $self->_write($_) for @{ $ww // [] };
    }
}

sub _accept {
    my ($self) = @_;

    my $s = $self->{lsn}->accept or return;
    my $up = $self->_dial;

    if (!$up) {
        close $s;
        return;
    }

    for ($s, $up) {
        $_->blocking(0);
        setsockopt($_, Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1) if $_->isa('IO::Socket::INET');
    }

    my $c = { s => [ $s, $up ], out => [ '', '' ], eof => [ 0, 0 ], due => [ 0, 0 ], sent => 0, head => '', body => 0, pending => undef };
    $self->{conns}{ fileno $_ } = $c for $s, $up;
}

sub _close {
    my ($self, $c, $reset) = @_;

    for my $s (@{ $c->{s} }) {
        delete $self->{conns}{ fileno $s } if defined fileno $s;
        setsockopt($s, Socket::SOL_SOCKET, Socket::SO_LINGER, pack 'ii', 1, 0) if $reset;
        close $s;
    }
}

sub _read {
    my ($self, $s) = @_;

    my $c = $self->{conns}{ fileno($s) // -1 } or return;
    my $i = $s == $c->{s}[0] ? 0 : 1;
    my $n = sysread $s, my $buf, $self->{mode} eq 'bytes' ? 1 : 65536;

    return if !defined $n && $!{EAGAIN};

    if (!$n) {
        $c->{eof}[$i] = 1;
        return $self->_close($c) unless length $c->{out}[ 1 - $i ];
        return;
    }

    if ($self->{watch}) {
        return if $i == 0 && $self->_request($c, $buf);
        $self->_response($c, $buf) if $i == 1;
    }

    $c->{due}[ 1 - $i ] = Time::HiRes::time() + $self->{arg} / 1000 if $self->{mode} eq 'delay' && !length $c->{out}[ 1 - $i ];
    $c->{out}[ 1 - $i ] .= $buf;
}

sub _write {
    my ($self, $s) = @_;

    my $c = $self->{conns}{ fileno($s) // -1 } or return;
    my $i = $s == $c->{s}[0] ? 0 : 1;
    my $len = length $c->{out}[$i];
    my $mode = $self->{mode};

    $len = 1 if $mode eq 'bytes' && $len;

    if ($i == 0 && ($mode eq 'cut' || $mode eq 'reset')) {
        my $left = $self->{arg} - $c->{sent};
        return $self->_close($c, $mode eq 'reset') if $left <= 0;
        $len = $left if $left < $len;
    }

    my $n = syswrite $s, $c->{out}[$i], $len;

    if (!defined $n) {
        return if $!{EAGAIN};
        return $self->_close($c);
    }

    substr($c->{out}[$i], 0, $n) = '';
    $c->{sent} += $n if $i == 0;
    $self->_close($c) if $c->{eof}[ 1 - $i ] && !length $c->{out}[$i];
}

# Follows the requests on a connection; true when this one did it and must
# not be passed on.
sub _request {
    my ($self, $c, $buf) = @_;

    $c->{head} .= $buf;

    while (length $c->{head}) {
        if ($c->{body} > 0) {
            my $n = $c->{body} < length $c->{head} ? $c->{body} : length $c->{head};
            substr($c->{head}, 0, $n) = '';
            $c->{body} -= $n;
            next;
        }

        $c->{head} =~ s/^(.*?)\r\n\r\n//s or last;
        my $head = $1;
        my ($method, $path) = $head =~ /^(\S+) (\S+)/;
        $c->{body} = $head =~ /^content-length:\s*(\d+)/im ? $1 : 0;
        next if !$self->{watch}{all} && ($method eq 'GET' || $method eq 'HEAD');
        $self->{writes}++;
        $c->{pending} = "$method $path";
        return $self->_fire($c->{pending}) if $self->{watch}{when} eq 'before';
    }

    return 0;
}

sub _response {
    my ($self, $c, $buf) = @_;

    return unless defined $c->{pending} && $buf !~ m{^HTTP/1\.1 100};
    my $what = delete $c->{pending};
    $self->{done}++;
    $self->_fire($what) if $self->{watch}{when} eq 'after';
}

sub _fire {
    my ($self, $what) = @_;

    my $n = $self->{watch}{when} eq 'before' ? $self->{writes} : $self->{done};
    return 0 if $self->{fired} || $n < $self->{watch}{k};
    kill 'KILL', $self->{watch}{pid};
    $self->{fired} = $what;
    return 1;
}

sub _order {
    my ($self, $ctl) = @_;

    my $line = readline $ctl;
    return 0 unless defined $line;
    chomp $line;
    my ($verb, @a) = split /\t/, $line;
    my $answer = 'ok';

    if ($verb eq 'mode') {
        ($self->{mode}, $self->{arg}) = ($a[0], $a[1] // 0);
        close delete $self->{lsn} if $a[0] eq 'refuse' && $self->{lsn};
        $self->_listen if $a[0] ne 'refuse' && !$self->{lsn};
        $_->{sent} = 0 for values %{ $self->{conns} };

    } elsif ($verb eq 'drop') {
        my %seen;
        $self->_close($_) for grep { !$seen{$_}++ } values %{ $self->{conns} };

    } elsif ($verb eq 'watch') {
        $self->{watch} = { k => $a[0], pid => $a[1], when => $a[2], all => $a[3] };
        @$self{qw(writes done fired)} = (0, 0, '');

    } elsif ($verb eq 'conns') {
        $answer = keys(%{ $self->{conns} }) / 2;

    } else {
        $answer = $self->{$verb} // '';
    }

    print {$ctl} "$answer\n";
    return 1;
}

# fd of the control socket, where to listen, where to forward.
sub main {
    my ($fd, $listen, $to) = @_;

    open my $ctl, '+<&=', $fd or die "control socket: $!";
    $ctl->autoflush(1);
    my $self = bless { listen => $listen, to => $to, mode => 'pass', arg => 0, conns => {}, writes => 0, done => 0, fired => '' }, __PACKAGE__;
    $self->_listen;
    $self->run($ctl);
}

main(@ARGV) unless caller;

1;
