#include "plugins/file/compressor.hpp"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>
#include <new>

#include "plugins/file/errors.hpp"

namespace sluice::plugins::file {
namespace {

constexpr std::size_t step = 64 * 1024;

class Gzip final : public Compressor {
 public:
    Gzip() {
        constexpr int gzip_header = 16;  // zlib's: add this to the window bits
        if (::deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + gzip_header, 8,
                           Z_DEFAULT_STRATEGY) != Z_OK)
            throw std::bad_alloc();
    }
    ~Gzip() override { ::deflateEnd(&stream_); }
    Gzip(const Gzip&) = delete;
    Gzip& operator=(const Gzip&) = delete;

    void add(std::string_view text, std::string& out) override {
        while (!text.empty()) {  // zlib counts in 32 bits
            const auto piece = std::min<std::size_t>(text.size(), std::numeric_limits<uInt>::max());
            run(text.substr(0, piece), Z_NO_FLUSH, out);
            text.remove_prefix(piece);
        }
    }
    void end(std::string& out) override { run({}, Z_FINISH, out); }
    std::size_t memory() const override {
        return (1U << (MAX_WBITS + 2)) + (1U << (8 + 9));  // zconf.h: of a deflate stream, with its window and level
    }

 private:
    void run(std::string_view text, int flush, std::string& out) {
        // zlib promises not to write to its input; its type predates const.
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
        stream_.avail_in = static_cast<uInt>(text.size());
        int result = Z_OK;
        do {
            const std::size_t old_size = out.size();
            out.resize(old_size + step);
            stream_.next_out = reinterpret_cast<Bytef*>(out.data() + old_size);
            stream_.avail_out = static_cast<uInt>(step);
            result = ::deflate(&stream_, flush);
            out.resize(old_size + step - stream_.avail_out);
            if (result == Z_STREAM_ERROR) throw Fatal("zlib: deflate failed");
        } while (stream_.avail_out == 0 && result != Z_STREAM_END);
    }

    z_stream stream_{};
};

class Zstd final : public Compressor {
 public:
    Zstd() : context_(::ZSTD_createCCtx()) {
        if (!context_) throw std::bad_alloc();
        // A checksum in each frame: `zstd -t` then proves a file without our manifest.
        check(::ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1));
    }

    void add(std::string_view text, std::string& out) override { run(text, ZSTD_e_continue, out); }
    void end(std::string& out) override { run({}, ZSTD_e_end, out); }
    std::size_t memory() const override { return ::ZSTD_sizeof_CCtx(context_.get()); }

 private:
    struct Free {
        void operator()(ZSTD_CCtx* context) const noexcept { ::ZSTD_freeCCtx(context); }
    };

    static std::size_t check(std::size_t result) {
        if (::ZSTD_isError(result))
            throw Fatal(std::string("zstd: ") + ::ZSTD_getErrorName(result));
        return result;
    }

    void run(std::string_view text, ZSTD_EndDirective directive, std::string& out) {
        ZSTD_inBuffer input{text.data(), text.size(), 0};
        std::size_t left = 0;
        bool full = false;
        do {
            const std::size_t old_size = out.size();
            out.resize(old_size + step);
            ZSTD_outBuffer output{out.data() + old_size, step, 0};
            left = check(::ZSTD_compressStream2(context_.get(), &output, &input, directive));
            out.resize(old_size + output.pos);
            full = output.pos == step;
        } while (directive == ZSTD_e_end ? left != 0 : input.pos < input.size || full);
    }

    std::unique_ptr<ZSTD_CCtx, Free> context_;
};

}  // namespace

std::unique_ptr<Compressor> make_compressor(Compression compression) {
    switch (compression) {
        case Compression::gzip:
            return std::make_unique<Gzip>();
        case Compression::zstd:
            return std::make_unique<Zstd>();
        case Compression::none:
            break;
    }
    return nullptr;
}

}  // namespace sluice::plugins::file
