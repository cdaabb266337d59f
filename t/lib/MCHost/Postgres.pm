package MCHost::Postgres;

# A private PostgreSQL on a Unix socket, copied from a cluster that initdb
# made once (build/t/).

use strict;
use warnings;
use Digest::SHA ();
use Fcntl qw(:flock);
use File::Path qw(make_path remove_tree);
use MCHost::Process;
use POSIX ();
use Time::HiRes qw(sleep time);

use constant PASSWORD => { mchost_owner => 'owner-pw', mchost_api => 'api-pw', mchost_reconciler => 'reconciler-pw',
    mchost_platform => 'platform-pw' };

my ($bin) = sort { $b cmp $a } glob '/usr/lib/postgresql/*/bin';

sub bin { $bin // die "PostgreSQL is not installed\n" }

# root: the repository, dir: where the cluster and the socket live.
sub new {
    my ($class, $root, $dir, %o) = @_;

    my $self = bless { root => $root, dir => $dir, data => "$dir/data", migrated => 0 }, $class;
    make_path($dir);
    chmod 0755, $dir;
    _own($dir);
    my $template = _template($root);
    _run('cp', '-a', $template, $self->{data});
    $self->start;
    return $self;
}

sub _own {
    my ($dir) = @_;

    chown((getpwnam 'postgres')[2, 3], $dir) or die "chown $dir: $!" if $> == 0;
}

sub _run {
    my (@cmd) = @_;

    system(@cmd) == 0 or die "failed: @cmd\n";
}

my $settings = <<'EOT';
fsync = off
full_page_writes = off
synchronous_commit = off
shared_buffers = 16MB
max_connections = 60
listen_addresses = ''
autovacuum = off
max_wal_size = 256MB
log_min_messages = warning
lc_messages = 'C'
EOT

my $hba = <<'EOT';
local all postgres                    trust
local all mchost_owner,mchost_api,mchost_reconciler,mchost_platform scram-sha-256
EOT

# A stopped cluster with the roles and an empty database mchost.
sub _template {
    my ($root) = @_;

    my $sql = do { local (@ARGV, $/) = "$root/sql/roles.sql"; <> };
    my $name = "$root/build/t/pg-" . substr Digest::SHA::sha1_hex(join '', $sql, $settings, $hba, bin(), $>), 0, 12;
    return $name if -d $name;

    make_path("$root/build/t");
    open my $lock, '>', "$root/build/t/pg.lock" or die "$root/build/t/pg.lock: $!";
    flock $lock, LOCK_EX;
    return $name if -d $name;

    my $tmp = "/tmp/mchpg$$";
    make_path($tmp);
    _own($tmp);
    my $self = bless { root => $root, dir => $tmp, data => "$tmp/data" }, __PACKAGE__;
    my $p = MCHost::Process->spawn(name => 'initdb', user => 'postgres', dir => $tmp, log => "$tmp/log",
        cmd => [ bin() . '/initdb', '-D', "$tmp/data", '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '-N' ]);
    my $status = $p->wait(120);
    die "initdb failed; see $tmp/log\n" unless defined $status && $status == 0;

    _append("$tmp/data/postgresql.conf", '>>', $settings);
    _append("$tmp/data/pg_hba.conf", '>', $hba);
    $self->start;
    $self->psql_file("$root/sql/roles.sql", db => 'postgres', vars => { owner_password => PASSWORD->{mchost_owner},
            api_password => PASSWORD->{mchost_api}, reconciler_password => PASSWORD->{mchost_reconciler},
            platform_password => PASSWORD->{mchost_platform} });
    $self->sql('CREATE DATABASE mchost OWNER mchost_owner', db => 'postgres');
    $self->stop;
    _run('cp', '-a', "$tmp/data", "$name.tmp");
    remove_tree($tmp);
    rename "$name.tmp", $name or die "$name: $!";
    return $name;
}

sub _append {
    my ($file, $mode, $text) = @_;

    open my $f, $mode, $file or die "$file: $!";
    print $f $text;
    close $f or die "$file: $!";
}

sub start {
    my ($self) = @_;

    unlink "$self->{data}/postmaster.pid";
    $self->{proc} = MCHost::Process->spawn(name => 'postgres', user => 'postgres', dir => $self->{dir}, death_signal => 3,
        log => "$self->{dir}/postgres.log",
        cmd => [ bin() . '/postgres', '-D', $self->{data}, '-k', $self->{dir} ]);
    $self->{proc}{quit} = 1;

    my $end = time + 30;

    until (-S "$self->{dir}/.s.PGSQL.5432" && eval { $self->sql('SELECT 1', db => 'postgres') eq '1' }) {
        die "PostgreSQL does not start; see $self->{dir}/postgres.log\n" if time > $end || !$self->{proc}->alive;
        sleep 0.02;
    }
}

# Fast shutdown: sessions are ended.
sub stop { my ($self) = @_; $self->{proc}->stop('INT', 20) if $self->{proc} }

# Like a crash of the machine's database.
sub kill9 {
    my ($self) = @_;

    $self->{proc}->stop('QUIT', 10);
}

sub restart { my ($self) = @_; $self->stop; $self->start }

sub socket_dir { $_[0]{dir} }

sub conninfo {
    my ($self, $user, %o) = @_;

    my $host = $o{host} // $self->{dir};
    my $db = $o{db} // 'mchost';
    return "host=$host dbname=$db user=$user password=" . PASSWORD->{$user};
}

sub _psql {
    my ($self, %o) = @_;

    my $user = $o{user} // 'postgres';
    $ENV{PGPASSWORD} = PASSWORD->{$user} // '';
    $ENV{PGOPTIONS} = '-c client_min_messages=warning';
    return (bin() . '/psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-h', $self->{dir}, '-U', $user, '-d', $o{db} // 'mchost',
        map { ('-v', "$_=$o{vars}{$_}") } sort keys %{ $o{vars} // {} });
}

# Runs SQL and returns the output (fields by "|", rows by newline); dies with
# the database's message. user (postgres), db (mchost).
sub sql {
    my ($self, $text, %o) = @_;

    local %ENV = %ENV;
    my @cmd = ($self->_psql(%o), '-c', $text);
    pipe my $r, my $w or die "pipe: $!";
    my $pid = fork // die "fork: $!";

    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>&', $w;
        open STDERR, '>&', $w;
        exec { $cmd[0] } @cmd or POSIX::_exit(127);
    }

    close $w;
    my $out = do { local $/; <$r> } // '';
    waitpid $pid, 0;
    chomp $out;
    die "$out\n" if $?;
    return $out;
}

sub psql_file {
    my ($self, $file, %o) = @_;

    local %ENV = %ENV;
    my @cmd = ($self->_psql(%o), '-f', $file);
    open my $p, '-|', @cmd or die "psql: $!";
    my $out = do { local $/; <$p> };
    close $p or die "psql -f $file failed\n";
    return $out;
}

# A session that stays: ->do(SQL) returns when it was done, ->end closes it.
sub session {
    my ($self, %o) = @_;

    return MCHost::Postgres::Session->new($self, %o);
}


package MCHost::Postgres::Session;

use IPC::Open2 qw(open2);

sub new {
    my ($class, $pg, %o) = @_;

    local %ENV = %ENV;
    my @cmd = $pg->_psql(%o);
    my $pid = open2(my $out, my $in, @cmd);
    $in->autoflush(1);
    return bless { in => $in, out => $out, pid => $pid }, $class;
}

sub do {
    my ($self, $sql) = @_;

    my $mark = 'done-' . int rand 1e9;
    print { $self->{in} } "$sql;\n\\echo $mark\n";
    my $text = '';

    while (my $line = readline $self->{out}) {
        last if $line eq "$mark\n";
        $text .= $line;
    }

    chomp $text;
    return $text;
}

# Sends without waiting for the end.
sub begin { my ($self, $sql) = @_; print { $self->{in} } "$sql;\n" }

sub end {
    my ($self) = @_;

    return unless $self->{pid};
    close $self->{in};
    close $self->{out};
    kill 'TERM', $self->{pid};
    waitpid delete $self->{pid}, 0;
}

sub DESTROY { local $?; $_[0]->end }

1;
