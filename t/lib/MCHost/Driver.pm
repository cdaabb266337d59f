package MCHost::Driver;

# A program of t/driver/ that a test talks to, line by line.
#
#   my $d = MCHost::Driver->start('kube_informer', @args);
#   $d->expect(qr/^synced/);        waits for a line, which is returned
#   my @lines = $d->ask('dump');    an order; what is said up to "done"
#   $d->seen                        all lines so far
#   $d->stop                        ends its input; true when it ends with 0

use strict;
use warnings;
use IO::Select;
use IPC::Open3 qw(open3);
use Time::HiRes qw(time);

my $count = 0;

sub start {
    my ($class, $name, @args) = @_;

    local $ENV{ASAN_OPTIONS} = 'detect_leaks=1';
    open my $err, '>', my $log = "/tmp/mch-driver-$$-" . ++$count or die $!;
    my $pid = open3(my $in, my $out, '>&' . fileno $err, "build/driver/$name", @args);
    $in->autoflush(1);
    return bless { pid => $pid, owner => $$, in => $in, out => $out, buf => '', seen => [], at => 0, name => $name, log => $log }, $class;
}

# Reads a line into seen; false at the end or after $end.
sub _read {
    my ($self, $end) = @_;

    while (index($self->{buf}, "\n") < 0) {
        my $left = $end - time;
        return 0 if $left <= 0 || !IO::Select->new($self->{out})->can_read($left);
        return 0 unless sysread $self->{out}, $self->{buf}, 65536, length $self->{buf};
    }
    my $line = substr $self->{buf}, 0, index($self->{buf}, "\n") + 1, '';
    chomp $line;
    utf8::decode($line);
    push @{ $self->{seen} }, $line;
    return 1;
}

# The next line that matches.
sub expect {
    my ($self, $re, $timeout) = @_;

    my $end = time + ($timeout // 30);
    while (1) {
        while ($self->{at} < @{ $self->{seen} }) {
            my $line = $self->{seen}[ $self->{at}++ ];
            return $line if $line =~ $re;
        }
        $self->_read($end) or die "$self->{name} does not say $re but:\n" . join("\n", @{ $self->{seen} }) . "\n" . $self->errors;
    }
}

sub ask {
    my ($self, $order) = @_;

    my $from = @{ $self->{seen} };
    $self->_read(time + 0.001) while length $self->{buf};
    utf8::encode($order) if utf8::is_utf8($order);
    print { $self->{in} } "$order\n";
    my $end = time + 30;
    while (1) {
        for my $i ($from .. $#{ $self->{seen} }) {
            return @{ $self->{seen} }[ $from .. $i ] if $self->{seen}[$i] =~ /^done/;
        }
        $self->_read($end) or die "$self->{name} does not answer $order\n" . $self->errors;
    }
}

sub seen   { return @{ $_[0]{seen} } }
sub errors { my ($self) = @_; open my $f, '<', $self->{log} or return ''; local $/; return readline($f) // '' }

sub stop {
    my ($self) = @_;

    return 1 unless $self->{pid};
    close $self->{in};
    my $end = time + 30;
    1 while $self->_read($end);
    kill 'KILL', $self->{pid} if time >= $end;
    waitpid delete $self->{pid}, 0;
    my $status = $?;
    print STDERR map { "# $_\n" } split /\n/, $self->errors if $status;
    unlink $self->{log};
    return $status == 0;
}

sub DESTROY {
    my ($self) = @_;

    local ($?, $@);
    return if !$self->{pid} || $self->{owner} != $$;
    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    unlink $self->{log};
}

1;
