package MCHost::Http;

# A plain HTTP/1.1 client that can also say what no proper client would.

use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use JSON::PP ();
use Socket qw(TCP_NODELAY IPPROTO_TCP);
use Time::HiRes qw(time);

# to: a port of 127.0.0.1, "host:port", or the path of a Unix socket.
sub connect {
    my ($class, $to, %o) = @_;

    my $s = $to =~ m{^/}
        ? IO::Socket::UNIX->new(Peer => $to)
        : IO::Socket::INET->new(PeerAddr => $to =~ /:/ ? $to : "127.0.0.1:$to", Timeout => 5);
    $s or die "connect $to: $!\n";
    setsockopt($s, IPPROTO_TCP, TCP_NODELAY, 1) unless $to =~ m{^/};
    binmode $s;
    return bless { s => $s, in => '', timeout => $o{timeout} // 20 }, $class;
}

sub socket { $_[0]{s} }

sub close { CORE::close($_[0]{s}) if $_[0]{s}; delete $_[0]{s} }

# Writes bytes as they are.
sub write {
    my ($self, $bytes) = @_;

    local $SIG{PIPE} = 'IGNORE';
    my $off = 0;

    while ($off < length $bytes) {
        my $n = syswrite $self->{s}, $bytes, length($bytes) - $off, $off;
        return 0 unless $n;
        $off += $n;
    }

    return 1;
}

# The text of a request. body: undef, a string of bytes, or a reference that
# becomes JSON. A Content-Type of JSON goes with a body unless headers say
# otherwise; a header whose value is undef is not sent.
sub format {
    my ($method, $path, $body, $headers) = @_;

    my %h = (Host => '127.0.0.1', %{ $headers // {} });
    $body = JSON::PP->new->utf8->canonical->encode($body) if ref $body;

    if (defined $body) {
        my ($ct) = grep { lc eq 'content-type' } keys %h;
        $h{'Content-Type'} = $method eq 'PATCH' ? 'application/merge-patch+json' : 'application/json' unless $ct;
        my ($cl) = grep { /^(content-length|transfer-encoding)$/i } keys %h;
        $h{'Content-Length'} = length $body unless $cl;
    }

    my $head = join '', map { defined $h{$_} ? "$_: $h{$_}\r\n" : () } sort keys %h;
    return "$method $path HTTP/1.1\r\n$head\r\n" . ($body // '');
}

sub send {
    my ($self, $method, $path, $body, $headers) = @_;

    $self->{method} = $method;
    return $self->write(MCHost::Http::format($method, $path, $body, $headers));
}

sub _fill {
    my ($self, $end) = @_;

    my $left = $end - time;
    die "no answer within the time limit\n" if $left <= 0 || !IO::Select->new($self->{s})->can_read($left);
    my $n = sysread $self->{s}, $self->{in}, 65536, length $self->{in};
    return $n // -1;
}

# Reads one response: an MCHost::Response, or undef when the peer closed first.
sub receive {
    my ($self, %o) = @_;

    my $end = time + ($o{timeout} // $self->{timeout});

    while ($self->{in} !~ /\r\n\r\n/) {
        return undef if $self->_fill($end) <= 0;
    }

    $self->{in} =~ s/^(.*?)\r\n\r\n//s;
    my ($line, @lines) = split /\r\n/, $1;
    $line =~ m{^HTTP/1\.[01] (\d{3})} or die "no status line: $line\n";
    my $r = bless { status => $1, headers => {}, list => \@lines, body => '' }, 'MCHost::Response';

    for (@lines) {
        my ($k, $v) = /^([^:]+):\s*(.*?)\s*$/ or next;
        $r->{headers}{ lc $k } = exists $r->{headers}{ lc $k } ? "$r->{headers}{lc $k}, $v" : $v;
    }

    return $r if ($self->{method} // '') eq 'HEAD' || $r->{status} =~ /^(1..|204|304)$/;
    return $self->_chunked($r, $end) if ($r->header('Transfer-Encoding') // '') =~ /chunked/i;

    my $want = $r->header('Content-Length');

    while (!defined $want || length($self->{in}) < $want) {
        last if $self->_fill($end) <= 0;
    }

    $r->{body} = substr $self->{in}, 0, $want // length $self->{in}, '';
    return $r;
}

sub _chunked {
    my ($self, $r, $end) = @_;

    while (1) {
        my ($line, $hex);

        until (($line, $hex) = $self->{in} =~ /^(([0-9a-f]+)[^\r\n]*\r\n)/i) {
            return $r if $self->_fill($end) <= 0;
        }

        my ($len, $head) = (hex $hex, length $line);

        while (length($self->{in}) < $head + $len + 2) {
            return $r if $self->_fill($end) <= 0;
        }

        $r->{body} .= substr $self->{in}, $head, $len;
        substr($self->{in}, 0, $head + $len + 2) = '';
        return $r if $len == 0;
    }
}

# One request on a connection of its own.
sub request {
    my ($to, $method, $path, $body, $headers, %o) = @_;

    my $c = MCHost::Http->connect($to, %o);
    $c->send($method, $path, $body, { Connection => 'close', %{ $headers // {} } });
    my $r = $c->receive(%o);
    $c->close;
    return $r // bless { status => 0, headers => {}, list => [], body => '' }, 'MCHost::Response';
}


package MCHost::Response;

sub status { $_[0]{status} }
sub header { $_[0]{headers}{ lc $_[1] } }
sub body   { $_[0]{body} }

# The body's JSON, or undef.
sub json {
    my ($self) = @_;

    $self->{json} //= eval { JSON::PP->new->utf8->allow_nonref->decode($self->{body}) };
    return $self->{json};
}

1;
