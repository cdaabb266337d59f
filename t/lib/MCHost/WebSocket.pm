package MCHost::WebSocket;

# A WebSocket client (RFC 6455) that can also break every rule of it.

use strict;
use warnings;
use Digest::SHA qw(sha1_base64);
use IO::Select;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use MCHost::Http;
use Time::HiRes qw(time);

use constant { TEXT => 1, BINARY => 2, CLOSE => 8, PING => 9, PONG => 10 };

# to: as MCHost::Http->connect. path, headers => {} (an undef value removes
# one of ours), early => bytes sent in one write with the handshake. Returns
# the socket, or a refusal whose ->response tells why; see ->open.
sub connect {
    my ($class, $to, %o) = @_;

    my $key = encode_base64(join('', map { chr int rand 256 } 1 .. 16), '');
    my %h = (Upgrade => 'websocket', Connection => 'Upgrade', 'Sec-WebSocket-Key' => $key,
        'Sec-WebSocket-Version' => 13, 'Sec-WebSocket-Protocol' => 'mchost.v1', %{ $o{headers} // {} });
    my $http = MCHost::Http->connect($to, timeout => $o{timeout} // 20);
    $http->{method} = 'GET';
    $http->write(MCHost::Http::format('GET', $o{path} // '/api/v1/ws', undef, \%h) . ($o{early} // ''));
    my $r = $http->receive or die "closed during the handshake\n";

    my $self = bless { http => $http, response => $r, s => $http->socket, in => $http->{in},
        timeout => $o{timeout} // 20, queue => [], id => 0 }, $class;
    $self->{open} = $r->status == 101;

    if ($self->{open} && $h{'Sec-WebSocket-Key'} eq $key) {
        my $want = sha1_base64($key . '258EAFA5-E914-47DA-95CA-C5AB0DC85B11') . '=';
        die "wrong Sec-WebSocket-Accept\n" if ($r->header('Sec-WebSocket-Accept') // '') ne $want;
    }

    return $self;
}

sub open     { $_[0]{open} }
sub response { $_[0]{response} }
sub socket   { $_[0]{s} }
sub status   { $_[0]{response}->status }

# The bytes of a frame. fin (1), rsv (0), mask (1), length => a false length.
sub frame {
    my ($op, $payload, %o) = @_;

    my $len = $o{length} // length $payload;
    my $mask = $o{mask} // 1 ? 0x80 : 0;
    my $head = pack 'C', (($o{fin} // 1) << 7) | (($o{rsv} // 0) << 4) | $op;

    if ($o{long} || $len > 65535) {
        $head .= pack 'CQ>', $mask | 127, $len;

    } elsif ($len > 125) {
        $head .= pack 'Cn', $mask | 126, $len;

    } else {
        $head .= pack 'C', $mask | $len;
    }

    return $head . $payload unless $mask;

    my $key = pack 'C4', map { int rand 256 } 1 .. 4;
    my $pad = substr $key x (length($payload) / 4 + 1), 0, length $payload;
    return $head . $key . ($payload ^ $pad);
}

sub send_bytes { my ($self, $bytes) = @_; return $self->{http}->write($bytes) }
sub send_frame { my ($self, @f) = @_; return $self->send_bytes(frame(@f)) }
sub send_text  { my ($self, $text) = @_; return $self->send_frame(TEXT, $text) }

# Sends a message; one without "id" gets one, which is returned.
sub send {
    my ($self, $msg) = @_;

    $msg->{id} //= ++$self->{id};
    $self->send_text(JSON::PP->new->utf8->canonical->encode($msg));
    return $msg->{id};
}

# One frame {op, fin, rsv, masked, payload}; undef when the peer closed the
# connection; dies when the time is up.
sub recv_frame {
    my ($self, $timeout) = @_;

    my $end = time + ($timeout // $self->{timeout});

    while (1) {
        my $f = $self->_parse;
        return $f if $f;
        my $left = $end - time;
        die 'no frame within the time limit, asked for at ' . _asked() . "\n" if $left <= 0 || !IO::Select->new($self->{s})->can_read($left);
        my $n = sysread $self->{s}, $self->{in}, 65536, length $self->{in};
        return undef if !$n;
    }
}

# The lines of the test that led here.
sub _asked {
    my @at;
    for (my $i = 0; my @c = caller $i; $i++) { push @at, "$c[1]:$c[2]" if $c[1] =~ /\.t$/ }
    return join ', from ', @at;
}

sub _parse {
    my ($self) = @_;

    return if length $self->{in} < 2;

    my ($a, $b) = unpack 'CC', $self->{in};
    my ($len, $at) = ($b & 127, 2);

    if ($len == 126) {
        return if length $self->{in} < 4;
        ($len, $at) = (unpack('x2n', $self->{in}), 4);

    } elsif ($len == 127) {
        return if length $self->{in} < 10;
        ($len, $at) = (unpack('x2Q>', $self->{in}), 10);
    }

    return if length $self->{in} < $at + $len;

    my $f = { op => $a & 15, fin => $a >> 7, rsv => ($a >> 4) & 7, masked => $b >> 7,
        payload => substr $self->{in}, $at, $len };
    substr($self->{in}, 0, $at + $len) = '';
    return $f;
}

# The next message as decoded JSON. Pings are answered. A close or the end of
# the connection gives { op => 'closed', code => 1000 or 0, reason }.
sub recv {
    my ($self, $timeout) = @_;

    return shift @{ $self->{queue} } if @{ $self->{queue} };
    return $self->{closed} if $self->{closed};

    my $end = time + ($timeout // $self->{timeout});

    while (1) {
        my $f = $self->recv_frame($end - time);

        if (!$f || $f->{op} == CLOSE) {
            my $code = $f && length $f->{payload} >= 2 ? unpack('n', $f->{payload}) : $f ? 1005 : 1006;
            $self->send_frame(CLOSE, $f->{payload}) if $f && !$self->{close_sent};
            return $self->{closed} = { op => 'closed', code => $code, reason => $f && length $f->{payload} > 2 ? substr($f->{payload}, 2) : '' };
        }

        $self->{pings}++ if $f->{op} == PING;
        $self->send_frame(PONG, $f->{payload}) if $f->{op} == PING && !$self->{no_pong};
        next if $f->{op} == PING || $f->{op} == PONG;
        return JSON::PP->new->utf8->decode($f->{payload});
    }
}

# Reads until a message satisfies the condition and returns it; the others
# are kept, in order, for later calls. Dies when time is up or on a close.
sub expect {
    my ($self, $cond, $timeout) = @_;

    my $end = time + ($timeout // $self->{timeout});
    my $queue = $self->{queue};

    for my $i (0 .. $#$queue) {
        local $_ = $queue->[$i];
        return splice @$queue, $i, 1 if $cond->($_);
    }

    my @kept = splice @$queue;
    my $found;

    eval {
        until ($found) {
            my $msg = $self->recv($end - time);
            local $_ = $msg;

            if ($cond->($msg)) {
                $found = $msg;

            } elsif ($msg->{op} eq 'closed') {
                die "closed with $msg->{code} $msg->{reason}\n";

            } else {
                push @kept, $msg;
            }
        }
    };

    my $err = $@;
    unshift @$queue, @kept;
    die $err unless $found;
    return $found;
}

# The answer (ack, result, pong, error …) to a message sent with send().
sub answer {
    my ($self, $id, $timeout) = @_;

    return $self->expect(sub { $_->{op} ne 'event' && defined $_->{id} && $_->{id} eq $id }, $timeout);
}

sub ask {
    my ($self, $msg, $timeout) = @_;

    return $self->answer($self->send($msg), $timeout);
}

# Everything that arrives within a moment, when nothing is expected to.
sub drain {
    my ($self, $for) = @_;

    my @got;
    my $end = time + ($for // 0.3);
    eval { push @got, $self->recv($end - time) while time < $end && !$self->{closed} };
    return @got;
}

# Waits for the close; its code.
sub wait_close {
    my ($self, $timeout) = @_;

    return $self->expect(sub { $_->{op} eq 'closed' }, $timeout)->{code};
}

sub close {
    my ($self, $code) = @_;

    $self->{close_sent} = 1;
    $self->send_frame(CLOSE, pack 'n', $code // 1000);
    my $got = eval { $self->wait_close(10) };
    $self->{http}->close;
    return $got;
}

# Gone without a word.
sub abandon { $_[0]{http}->close }

1;
