package MCHost::Bot;

# A player (t/e2e/bot.mjs).

use strict;
use warnings;
use IO::Select;
use IPC::Open2 qw(open2);
use JSON::PP ();
use Time::HiRes qw(time);

sub join_game {
    my ($class, $root, $host, $port, $name, $version) = @_;

    my $pid = open2(my $out, my $in, 'node', "$root/t/e2e/bot.mjs", $host, $port, $name, $version // '1.20.4');
    $in->autoflush(1);
    my $self = bless { pid => $pid, in => $in, out => $out, buf => '', seen => [], name => $name }, $class;
    $self->expect(sub { $_[0]{event} eq 'spawn' }, 60) or die "$name does not get in\n";
    return $self;
}

sub tell { my ($self, $line) = @_; local $SIG{PIPE} = 'IGNORE'; print { $self->{in} } "$line\n" }
sub chat { my ($self, $text) = @_; $self->tell("chat $text") }

# Waits for an event that satisfies the condition; undef at the end.
sub expect {
    my ($self, $cond, $timeout) = @_;

    my $end = time + ($timeout // 30);

    while (1) {
        while ($self->{buf} =~ s/^(.*)\n//) {
            my $e = eval { JSON::PP->new->utf8->decode($1) } or next;
            push @{ $self->{seen} }, $e;
            return $e if $cond->($e);
        }

        my $left = $end - time;
        die "$self->{name} saw only: " . JSON::PP->new->canonical->encode($self->{seen}) . "\n"
            if $left <= 0 || !IO::Select->new($self->{out})->can_read($left);
        return undef unless sysread $self->{out}, $self->{buf}, 65536, length $self->{buf};
    }
}

sub expect_chat {
    my ($self, $re, $timeout) = @_;

    return $self->expect(sub { $_[0]{event} eq 'chat' && $_[0]{text} =~ $re }, $timeout);
}

sub quit {
    my ($self) = @_;

    return unless $self->{pid};
    $self->tell('quit');
    eval { $self->expect(sub { $_[0]{event} eq 'end' }, 5) };
    kill 'KILL', $self->{pid};
    waitpid delete $self->{pid}, 0;
}

sub DESTROY { local ($?, $@); $_[0]->quit }

1;
